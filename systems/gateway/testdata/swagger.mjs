// Looks at the page of the gateway in headless Chromium, on a phone and on a desk, and tries calls from it.
// usage: node swagger.mjs ADDRESS ADDRESS-THAT-WANTS-THE-TOKEN-ann:list [FOLDER for pictures]
// Fails with what went wrong.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
const { chromium } = createRequire(new URL("../../../conformance/js/", import.meta.url))("playwright-core");

const [open, closed, pictures] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});
try {
  await use(open, 400, tryPost);
  await use(open, 1280, tryGet);
  await enter();
} finally {
  await browser.close();
}

// visit opens the page; whatever it complains about, its own policy included, and whatever it loads from elsewhere is a failure.
async function visit(address, width) {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  page.setDefaultTimeout(30_000);
  const complaints = [];
  page.on("pageerror", (e) => complaints.push(e.message));
  page.on("console", (m) => { if (m.type() === "error" && !/status of 40[13]/.test(m.text())) complaints.push(`${m.text()} ${m.location().url}`); });
  page.on("request", (r) => { if (!r.url().startsWith(address) && !r.url().startsWith("data:") && !r.url().startsWith("blob:")) complaints.push(`asks ${r.url()}`); });
  await page.goto(`${address}/Swagger`);
  return { page, complaints };
}

async function picture(page, name) {
  if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
}

// use looks at the page in a window and tries a call.
async function use(address, width, trial) {
  const { page, complaints } = await visit(address, width);
  await page.waitForSelector(".opblock");
  assert.equal(await page.title(), "My Api Gateway");
  const paths = await page.$$eval(".opblock-summary-path", (all) => all.map((e) => e.textContent.replaceAll("\u200b", "")));
  for (const path of ["/api/Gateway/weatherservice/forecast", "/api/Gateway/hub/chatservice/room", "/api/Gateway/orchestration"]) {
    assert.ok(paths.includes(path), `${path} is not listed, only ${paths}`);
  }
  await picture(page, `page-${width}`);
  await trial(page, address);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `the page is ${over} px wider than a window of ${width}`);
  await picture(page, `tried-${width}`);
  assert.deepEqual(complaints, []);
  await page.close();
}

// tryIt opens an operation, fills it in, sends it and returns status and body of the answer.
async function tryIt(page, path, fill) {
  const block = page.locator(".opblock", { has: page.locator(`[data-path="${path}"]`) });
  await block.locator(".opblock-summary").click();
  await block.locator(".try-out__btn").click();
  await fill(block);
  await block.locator("button.execute").click();
  const live = block.locator(".live-responses-table .response");
  await live.waitFor();
  return { block, status: (await live.locator(".response-col_status").innerText()).trim(), text: await live.innerText(), request: await block.locator(".request-url pre").innerText() };
}

async function tryGet(page, address) {
  const got = await tryIt(page, "/api/Gateway/weatherservice/forecast", (block) => block.locator(".parameters input").first().fill("city=Bad Ischl"));
  assert.match(got.status, /^200/);
  assert.match(got.text, /Bad Ischl/);
  assert.equal(got.request, `${address}/api/Gateway/weatherservice/forecast?parameters=city%3DBad%20Ischl`);
}

async function tryPost(page) {
  const got = await tryIt(page, "/api/Gateway/hub/chatservice/room", async (block) => {
    const body = block.locator("textarea.body-param__text");
    assert.deepEqual(JSON.parse(await body.inputValue()), [{ name: "John Doe", message: "Hello!" }]);
    await body.fill(JSON.stringify([{ name: "John", message: "Hi" }]));
  });
  assert.match(got.status, /^200/);
}

// enter opens a page that is for some people only, first with a token that is no good, and calls what demands a right.
async function enter() {
  const { page, complaints } = await visit(closed, 400);
  for (const token of ["ann", "ann:list"]) {
    await page.waitForSelector("form input");
    await picture(page, `token-${token}`);
    await page.fill("form input", token);
    await page.click("form button");
    if (token === "ann") await page.waitForSelector("text=status 403");
  }
  await page.waitForSelector(".opblock");
  const got = await tryIt(page, "/api/Gateway/weatherservice/forecast", (block) => block.locator(".parameters input").first().fill("city=Bern"));
  assert.match(got.status, /^200/);
  assert.deepEqual(complaints, []);
  await page.close();
}
