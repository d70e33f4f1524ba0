// Registers and signs in with headless Chromium as a person would, on a desktop and on a phone.
// usage: node pages.mjs AUTHORIZE CLIENT [FOLDER]
// AUTHORIZE is the address that a client sends its browser to, CLIENT where it comes back. Screenshots go to FOLDER.
// Fails with what went wrong.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
const { chromium } = createRequire(new URL("../../../../conformance/js/", import.meta.url))("playwright-core");

const [authorize, client, folder] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});
try {
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, width, height] of [["small", 320, 640], ["phone", 390, 844], ["desktop", 1280, 900]]) await layout(`${name}-${colorScheme}`, { viewport: { width, height }, colorScheme });
  }
  await person();
} finally {
  await browser.close();
}

// open opens a page in a new browser; whatever it complains about, its own policy included, is a failure.
async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [];
  page.on("pageerror", (e) => complaints.push(e.message));
  page.on("console", (m) => { if (m.type() === "error" && !/status of 40[01]/.test(m.text())) complaints.push(m.text()); });
  await page.goto(authorize);
  return { context, page, complaints };
}

async function layout(name, options) {
  const { context, page, complaints } = await open(options);
  await fits(page, `login-${name}`);
  await page.getByLabel("E-mail").fill(`${name}@play.com`);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await fits(page, `refused-${name}`);
  await page.getByRole("link", { name: "Register" }).click();
  await page.getByRole("button", { name: "Register" }).waitFor();
  await fits(page, `register-${name}`);
  assert.deepEqual(complaints, []);
  await context.close();
}

// fits checks that a page is as wide as the window, and can be used with a finger and without seeing it.
async function fits(page, name) {
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
  const found = await page.evaluate(() => ({
    over: document.documentElement.scrollWidth - window.innerWidth,
    unnamed: [...document.querySelectorAll("input:not([type=hidden])")].filter((e) => !e.labels.length).map((e) => e.name),
    small: [...document.querySelectorAll("button, input:not([type=hidden])")].filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.name || e.textContent),
    styled: getComputedStyle(document.querySelector("button")).backgroundColor !== "rgba(0, 0, 0, 0)" && document.styleSheets.length === 1,
  }));
  assert.ok(found.over <= 0, `${name} is ${found.over} px wider than the window`);
  assert.deepEqual(found.unnamed, [], `${name}: fields without a label`);
  assert.deepEqual(found.small, [], `${name}: too small for a finger`);
  assert.ok(found.styled, `${name} has no style`);
}

async function person() {
  const { context, page, complaints } = await open({ viewport: { width: 390, height: 844 } });
  await page.getByRole("link", { name: "Register" }).click();
  await page.getByLabel("E-mail").fill("grace@play.com");
  await page.getByLabel("Name").fill("Grace");
  await page.getByLabel("Password").fill("correct horse");
  await page.keyboard.press("Enter");
  await page.waitForURL((u) => u.href.startsWith(client) && u.searchParams.has("code"));

  // The client renews silently in a frame, as the original portal does.
  const silent = await page.evaluate((address) => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.onload = () => resolve(frame.contentWindow.location.search);
    frame.src = address + "&prompt=none";
    document.body.append(frame);
  }), authorize);
  assert.match(silent, /code=/, "silent renewal");

  await context.clearCookies({ name: "hubbub_session" });
  await page.goto(authorize);
  await page.getByLabel("E-mail").fill("grace@play.com");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((u) => u.href.startsWith(client) && u.searchParams.has("code"));
  assert.deepEqual(complaints, []);
  await context.close();
}
