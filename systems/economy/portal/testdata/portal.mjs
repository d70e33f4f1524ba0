// Uses the portal with headless Chromium as people would, on a desktop and on a phone.
// usage: node portal.mjs PORTAL DIRECTOR ADMIN PASSWORD [FOLDER]
// DIRECTOR makes things go wrong: POST /cut, /mend, /deaf, /hear, /hold?service, /release?service. Screenshots go to FOLDER.
// Fails with what went wrong.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
const { chromium } = createRequire(new URL("../../../../conformance/js/", import.meta.url))("playwright-core");

const [portal, director, admin, password, folder] = process.argv.slice(2);
const DESKTOP = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 400, height: 860 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const DARK = { ...PHONE, colorScheme: "dark" };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});

async function direct(what) {
  const response = await fetch(`${director}/${what}`, { method: "POST" });
  assert.ok(response.ok, `${what}: ${await response.text()}`);
}

// person is somebody with a browser of their own.
async function person(options = DESKTOP) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  const p = { context, complaints: [] };
  p.tab = async (page = "") => {
    const tab = await context.newPage();
    tabs.add(tab);
    tab.setDefaultTimeout(30_000);
    tab.on("pageerror", (e) => p.complaints.push(e.stack || e.message));
    tab.on("console", (m) => { if (m.type() === "error" && !/Failed to load resource|WebSocket connection to/.test(m.text())) p.complaints.push(m.text()); });
    await tab.goto(portal + page);
    return tab;
  };
  p.leave = async () => {
    assert.deepEqual(p.complaints, []);
    await context.close();
  };
  return p;
}

// register makes an account from the first page on.
async function register(p, name) {
  const tab = await p.tab();
  await tab.getByRole("button", { name: "Sign in or register" }).click();
  await tab.getByRole("link", { name: "Register" }).click();
  await tab.getByLabel("E-mail").fill(name.toLowerCase() + "@play.com");
  await tab.getByLabel("Name").fill(name);
  await tab.getByLabel("Password").fill("correct horse");
  await tab.getByRole("button", { name: "Register" }).click();
  await tab.getByRole("heading", { name: "Store", exact: true }).waitFor();
  await live(tab);
  return tab;
}

async function signIn(p, email, password, page = "") {
  const tab = await p.tab(page || "store");
  await tab.getByLabel("E-mail").fill(email);
  await tab.getByLabel("Password").fill(password);
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.waitForURL(portal + (page || "store"));
  await live(tab);
  return tab;
}

const live = (tab) => tab.locator("#live.connected").waitFor();
const balance = (tab, gil) => tab.locator("#gil").filter({ hasText: new RegExp(`^${gil} gil$`) }).waitFor();

async function picture(tab, name) {
  const found = await tab.evaluate(() => ({
    over: document.documentElement.scrollWidth - window.innerWidth,
    unnamed: [...document.querySelectorAll("input, select, textarea")].filter((e) => !e.labels.length && !e.getAttribute("aria-label")).map((e) => e.id),
    small: [...document.querySelectorAll("button, a.button, input, select")].filter((e) => e.offsetParent && e.getBoundingClientRect().height < 44).map((e) => e.textContent || e.id),
    headings: document.querySelectorAll("h1").length,
  }));
  assert.ok(found.over <= 0, `${name} is ${found.over} px wider than the window`);
  assert.deepEqual(found.unnamed, [], `${name}: fields without a label`);
  assert.deepEqual(found.small, [], `${name}: too small for a finger`);
  assert.equal(found.headings, 1, `${name}: main headings`);
  if (folder) await tab.screenshot({ path: `${folder}/${name}.png` });
}

// order opens the dialog of an item and sends it off.
async function order(tab, item, quantity) {
  await tab.getByRole("button", { name: `Buy ${item} for` }).click();
  await tab.getByLabel("How many").fill(String(quantity));
  await tab.getByRole("button", { name: "Buy", exact: true }).click();
}

const outcome = (tab, text) => tab.locator("dialog .outcome").filter({ hasText: text }).waitFor();
const done = (tab) => tab.getByRole("button", { name: "Done" }).click();

// Registering, buying, buying too much; the keyboard alone is enough.
async function buyer(options, name) {
  const p = await person(options);
  const first = await p.tab();
  await first.getByRole("heading", { level: 1 }).waitFor();
  await picture(first, `landing-${name}`);
  await first.close();
  const tab = await register(p, name);
  await balance(tab, "100");
  await picture(tab, `store-${name}`);

  await tab.getByRole("button", { name: "Buy Potion for" }).focus();
  await tab.keyboard.press("Enter");
  await tab.getByLabel("How many").waitFor();
  await tab.getByRole("button", { name: "One more" }).click();
  await picture(tab, `buy-${name}`);
  await tab.getByLabel("How many").focus();
  await tab.keyboard.press("Enter");
  await outcome(tab, "They are yours.");
  assert.equal(await tab.locator("dialog .timeline li.done").count(), 4);
  await picture(tab, `bought-${name}`);
  await tab.keyboard.press("Escape");
  assert.equal(await tab.evaluate(() => document.activeElement.getAttribute("aria-label")), "Buy Potion for 5 gil", "the focus is back where it was");
  await balance(tab, "90");
  await tab.getByText("You own 2").waitFor();

  await tab.getByRole("button", { name: "Buy Potion for" }).click();
  await tab.getByLabel("How many").fill("19");
  await tab.getByText("That is 5 gil more than you have").waitFor();
  await picture(tab, `too-much-${name}`);
  await tab.getByRole("button", { name: "Buy", exact: true }).click();
  await outcome(tab, "Not bought. You do not have enough gil: this costs 95 gil. Nothing was charged.");
  await tab.getByText("set aside, put back").waitFor();
  assert.equal(await tab.locator("dialog .timeline li.failed").count(), 1);
  await picture(tab, `refused-${name}`);
  await tab.getByText("What the saga wrote down").click();
  await tab.getByText("Not enough gil to debit 95 from user").waitFor();
  await picture(tab, `record-${name}`);
  await done(tab);
  await balance(tab, "90");
  await picture(tab, `store-after-${name}`);

  await tab.getByRole("link", { name: "Inventory" }).click();
  await tab.getByLabel("2 pieces").waitFor();
  await picture(tab, `inventory-${name}`);
  await tab.reload(); // nobody signs in again
  await tab.getByLabel("2 pieces").waitFor();
  await balance(tab, "90");
  await tab.goto(portal + "users");
  await tab.getByRole("heading", { name: "For administrators" }).waitFor();
  await picture(tab, `not-admin-${name}`);
  await tab.goto(portal + "nowhere");
  await tab.getByRole("heading", { name: "There is no such page" }).waitFor();
  await picture(tab, `nowhere-${name}`);

  await tab.getByRole("button", { name: "Sign out" }).click();
  await tab.getByText("You are signed out.").waitFor();
  await picture(tab, `signed-out-${name}`);
  await tab.goto(portal + "store");
  await tab.getByRole("button", { name: "Sign in" }).waitFor(); // of the issuer
  await p.leave();
}

const tabs = new Set(); // open ones, for a picture of what was there when it failed
try {
  await buyer(DESKTOP, "Ada");
  await buyer(DARK, "Bea");
} catch (err) {
  for (const [i, tab] of [...tabs].entries()) {
    if (tab.isClosed()) continue;
    console.error(`tab ${i}: ${tab.url()}\n${await tab.locator("body").innerText().catch(String)}`);
    if (folder) await tab.screenshot({ path: `${folder}/failed-${i}.png` }).catch(() => {});
  }
  throw err;
} finally {
  await browser.close();
}
