// Uses the page in headless Chromium as a person would, on a phone, over each transport.
// usage: node page.mjs ADDRESS USER PASSWORD
// Fails with what went wrong.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
const { chromium } = createRequire(new URL("../../../conformance/js/", import.meta.url))("playwright-core");

const [address, user, password] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});
try {
  for (const width of [320, 390]) {
    for (const colorScheme of ["light", "dark"]) await layout({ width, height: 844 }, colorScheme);
  }
  await layout({ width: 1280, height: 900 }, "light");
  await portal();
  for (const transport of ["WebSockets", "ServerSentEvents", "LongPolling"]) await watch(transport);
} finally {
  await browser.close();
}

// open opens the page; whatever it complains about, its own policy included, is a failure.
async function open(options, query = "") {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on("pageerror", (e) => complaints.push(e.message));
  page.on("console", (m) => { if (m.type() === "error" && !/status of 40[01]/.test(m.text())) complaints.push(`${m.text()} ${m.location().url}`); });
  await page.goto(address + "/" + query);
  await page.waitForFunction(() => document.querySelectorAll("#systems .card").length > 0);
  return { page, complaints };
}

async function layout(viewport, colorScheme) {
  const { page, complaints } = await open({ viewport, colorScheme });
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `the page is ${over} px wider than a window of ${viewport.width}`);
  const unnamed = await page.evaluate(() => [...document.querySelectorAll("input, select, textarea")]
    .filter((e) => !e.labels.length && !e.getAttribute("aria-label")).map((e) => e.id || e.name));
  assert.deepEqual(unnamed, [], "fields without a label");
  const small = await page.evaluate(() => [...document.querySelectorAll("button")]
    .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 32).map((e) => e.textContent));
  assert.deepEqual(small, [], "buttons too small for a finger");
  assert.deepEqual(complaints, []);
  await page.close();
}

// portal goes to the pages of Play Economy, and back to a server that has none of them.
async function portal() {
  const { page, complaints } = await open({ viewport: { width: 390, height: 844 } });
  await page.click("#portal");
  await page.waitForURL(address + "/economy/");
  assert.match(await page.title(), /Economy/);
  await page.route("**/status", async (route) => {
    const answer = await (await route.fetch()).json();
    for (const system of answer.systems) delete system.portal;
    await route.fulfill({ json: answer });
  });
  await page.goto(address + "/");
  await page.waitForFunction(() => document.querySelectorAll("#systems .card").length > 0);
  assert.ok(await page.isHidden("#economy"), "a way to a portal that is not there");
  assert.deepEqual(complaints, []);
  await page.close();
}

// goodbye waits until the server has no connection any more but that of its own gateway: the page has ended both of its own.
async function goodbye() {
  const late = Date.now() + 5_000; // sooner than the server gives them up by itself
  for (;;) {
    const status = await (await fetch(address + "/status")).json();
    const left = status.systems.flatMap((s) => s.hubs).filter((h) => h.connections > 0 && h.name !== "ChatHub").map((h) => h.name);
    if (left.length === 0) return;
    assert.ok(Date.now() < late, `connections left on ${left}`);
  }
}

// catalog subscribes to a part and a pipeline and publishes to both.
async function catalog(page, text, transport) {
  const publish = async (kind, key, event, want) => {
    await page.selectOption("#cp-kind", kind);
    await page.fill("#cp-key", key);
    if (event) await page.fill("#cp-event", event);
    await page.click("#c-publish button");
    await text("cp-result", want);
  };
  await page.fill("#c-key", " ");
  await page.click("#c-subscribe > button");
  await text("c-error", "PartKey is empty, want a key.");
  await page.fill("#c-key", "1882708");
  await page.click("#c-subscribe > button");
  await text("c-subscriptions", "part 1882708");
  await text("c-state", "Live over " + transport);
  await page.selectOption("#c-kind", "pipeline");
  await page.fill("#c-key", "a/b");
  await page.click("#c-subscribe > button");
  await text("c-subscriptions", "pipeline a/b");

  await publish("part", "1882709", "", "Published to part 1882709"); // nobody wants it
  await publish("part", "1882708", "{", "The event is not one JSON value in UTF-8.");
  await publish("part", "1882708", '{"EventType": 2, "PartKey": "1882708", "ResourceKey": "<img src=x>"}', "Published to part 1882708");
  await text("c-count", "1");
  assert.equal(await page.textContent("#c-events .pill"), "deleted");
  assert.equal(await page.textContent("#c-events strong"), "<img src=x>", "a key as text");
  assert.equal(await page.locator("#c-events img").count(), 0, "HTML of an event");
  await publish("pipeline", "a/b", '{"Id": "j-1", "Status": 1}', "Published to pipeline a/b");
  await text("c-count", "2");
  assert.equal(await page.textContent("#c-events .pill"), "running");
  await page.click("#c-subscriptions button");
  await page.waitForFunction(() => document.querySelectorAll("#c-subscriptions li").length === 1);
}

// relay subscribes to an event, triggers it, ends the subscription, and makes a ticket that fails.
async function relay(page, text, transport) {
  await page.fill("#r-guid", "");
  await page.click("#r-subscribe > button");
  await text("r-error", "Eventguid is empty, want a text.");
  const guid = "<b>of " + transport;
  await page.fill("#r-guid", guid);
  await page.fill("#r-cookie", "<img src=x>");
  await page.click("#r-subscribe > button");
  await text("r-subscriptions", "<img src=x>");
  await text("r-state", "Live over " + transport);
  await page.fill("#rt-guid", guid);
  await page.click("#r-trigger > button");
  await text("rt-result", "Triggered, 1 listener");
  await text("r-count", "1");
  assert.equal(await page.textContent("#r-events strong"), guid, "an eventguid as text");
  assert.equal(await page.locator("#r-events img, #r-events b").count(), 0, "HTML of an event");
  await page.click("#r-subscriptions button");
  await page.waitForFunction(() => document.querySelectorAll("#r-subscriptions li").length === 0);
  await page.click("#r-trigger > button");
  await text("rt-result", "Triggered, 0 listeners");
  await page.fill("#tt-model", "SomeVM");
  await page.fill("#tt-root", "No|1");
  await page.click("#t-create > button");
  await text("tt-result", "Made as");
  await text("t-tickets", "failed");
  await text("t-tickets", "No|1");
  await page.click("#t-tickets button");
}

async function watch(transport) {
  const { page, complaints } = await open({ viewport: { width: 390, height: 844 } }, "?transport=" + transport);
  const text = (id, want) => page.waitForFunction(([id, want]) => document.getElementById(id).textContent.includes(want), [id, want]);

  await page.fill("#user", user);
  await page.fill("#password", "wrong");
  await page.click("#login button.primary");
  await text("login-error", "not right");
  await page.fill("#password", password);
  await page.click("#login button.primary");
  await text("state", "Connected");
  await text("state-detail", transport);

  await page.fill("#resources", "devices");
  await page.check("input[value=created]");
  await page.click("#subscribe > button");
  await text("subscriptions", "devices: created");

  await page.selectOption("#p-action", "deleted"); // nobody wants it
  await page.click("#publish button");
  await text("publish-result", "Accepted");
  await page.selectOption("#p-action", "created");
  await page.fill("#p-object", "<b>no JSON</b>");
  await page.click("#publish button");
  await text("publish-result", "The object is no JSON.");
  await page.fill("#p-object", '{"name": "<img src=x>"}');
  await page.click("#publish button");
  await text("count", "1");
  assert.equal(await page.textContent("#messages .pill"), "created");
  assert.ok((await page.textContent("#messages pre")).includes('"name": "<img src=x>"'), "the object as text");
  assert.equal(await page.locator("#messages img").count(), 0, "HTML of a notification");

  await catalog(page, text, transport);
  await relay(page, text, transport);

  await page.click("#subscriptions button");
  await page.waitForFunction(() => document.querySelectorAll("#subscriptions li").length === 0);
  await page.click("#disconnect");
  await page.waitForSelector("#login:not([hidden])");
  await goodbye();
  assert.deepEqual(complaints, []);
  await page.close();
}
