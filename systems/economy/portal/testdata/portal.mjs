// Uses the portal with headless Chromium as people would, on a desktop and on a phone.
// usage: node portal.mjs SCENE PORTAL DIRECTOR ADMIN PASSWORD [FOLDER]
// DIRECTOR makes things go wrong: POST /cut, /mend, /deaf, /hear, /hold?service, /release?service. Screenshots go to FOLDER.
// Fails with what went wrong.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
const { chromium } = createRequire(new URL("../../../../conformance/js/", import.meta.url))("playwright-core");

const [scene, portal, director, admin, password, folder] = process.argv.slice(2);
const DESKTOP = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 400, height: 860 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const DARK = { ...PHONE, colorScheme: "dark" };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--host-resolver-rules=MAP play.test 127.0.0.1"],
});

async function direct(what) {
  const response = await fetch(`${director}/${what}`, { method: "POST" });
  assert.ok(response.ok, `${what}: ${await response.text()}`);
}

// person is somebody with a browser of their own.
async function person(options = DESKTOP) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  const p = { context, complaints: [] };
  p.tab = async (page = "", prepare = () => {}) => {
    const tab = await context.newPage();
    await prepare(tab);
    tabs.add(tab);
    tab.setDefaultTimeout(60_000);
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
  const found = await tab.evaluate((width) => ({ // a phone's window grows with what is too wide for it
    over: [...document.querySelectorAll("body *")].filter((e) => e.offsetParent && e.getBoundingClientRect().right > width).map((e) => e.outerHTML.slice(0, 80)),
    unnamed: [...document.querySelectorAll("input, select, textarea")].filter((e) => !e.labels.length && !e.getAttribute("aria-label")).map((e) => e.id),
    small: [...document.querySelectorAll("button, a.button, input, select")].filter((e) => e.offsetParent && e.getBoundingClientRect().height < 44).map((e) => e.textContent || e.id),
    headings: document.querySelectorAll("h1").length,
  }), tab.viewportSize().width);
  assert.deepEqual(found.over, [], `${name}: wider than the window`);
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
  await balance(tab, "90");
  await tab.getByText("You own 2").waitFor();
  assert.equal(await tab.evaluate(() => document.activeElement.getAttribute("aria-label")), "Buy Potion for 5 gil", "the focus is back where it was");

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

// Both tabs of a player are told, another player is not; a copy of a tab does not end the sign-in of both.
async function together() {
  const a = await person(), b = await person();
  const one = await register(a, "Cleo"), other = await register(b, "Dora");
  const told = [];
  await b.context.newPage(); // the socket of a new tab is heard from its beginning
  const ears = await b.context.newPage();
  ears.on("websocket", (socket) => socket.on("framereceived", (f) => { if (String(f.payload).includes("ReceivePurchase")) told.push(f.payload); }));
  await ears.goto(portal + "store");
  await live(ears);
  const two = await a.tab("inventory"); // signed in by the session at the issuer
  await live(two);
  await two.getByRole("heading", { name: "Nothing yet" }).waitFor();
  await picture(two, "inventory-empty");

  await order(one, "Potion", 1);
  await outcome(one, "It is yours.");
  await two.locator(".toast.good").filter({ hasText: "1 × Potion: bought." }).waitFor();
  await two.getByLabel("1 piece", { exact: true }).waitFor();
  await balance(two, "95");
  await picture(two, "inventory-told");
  await two.getByRole("button", { name: "Show" }).click();
  await outcome(two, "It is yours.");
  await done(two);
  await done(one);

  const [copy] = await Promise.all([a.context.waitForEvent("page"), one.evaluate(() => { window.open(location.href); })]);
  await live(copy);
  const renewal = (tab) => tab.waitForResponse((r) => r.url().endsWith("/connect/token") && r.ok()); // with a token that is good once
  await Promise.all([renewal(one), renewal(copy), renewal(two)]);
  await two.close();
  await order(copy, "Potion", 1);
  await outcome(copy, "It is yours.");
  await one.locator(".toast.good").filter({ hasText: "1 × Potion: bought." }).waitFor();
  await done(copy);
  await balance(one, "90");

  assert.deepEqual(told, [], "what another player was told");
  await balance(other, "100");
  assert.equal(await other.locator(".toast").count() + await ears.locator(".toast").count(), 0, "notes at another player's");
  await order(ears, "Bronze sword", 1); // the ears were open
  await outcome(ears, "It is yours.");
  assert.ok(told.length > 0, "the other player hears of own purchases");

  await one.getByRole("button", { name: "Sign out" }).click();
  await copy.getByRole("heading", { name: "You are signed out" }).waitFor();
  await picture(copy, "signed-out-elsewhere");
  await a.leave();
  await b.leave();
}

// A purchase is shown to its end whatever is lost on the way.
async function trouble() {
  const p = await person(PHONE);
  const tab = await register(p, "Elin");
  const banner = tab.locator("#banner").filter({ hasText: "Connection lost" });

  await direct("deaf"); // no push comes: the status is looked up
  await banner.waitFor();
  await picture(tab, "lost-connection");
  await order(tab, "Potion", 1);
  await outcome(tab, "It is yours.");
  await done(tab);
  await direct("hear");
  await live(tab);
  await balance(tab, "95");

  await direct("hold?inventory"); // cut in the middle of a purchase
  await order(tab, "Potion", 1);
  await tab.locator("dialog li.doing").filter({ hasText: "Setting 1 × Potion aside" }).waitFor();
  await picture(tab, "under-way");
  await direct("cut");
  await direct("release?inventory");
  await tab.locator("#live.reconnecting").waitFor();
  await direct("mend");
  await outcome(tab, "It is yours.");
  await done(tab);
  await live(tab);
  await balance(tab, "90");

  await direct("cut"); // the order itself gets through at a later attempt
  await order(tab, "Potion", 1);
  await outcome(tab, "Still trying.");
  await picture(tab, "still-trying");
  await direct("mend");
  await outcome(tab, "It is yours.");
  await done(tab);
  await balance(tab, "85");

  await direct("hold?inventory"); // the page goes away and comes back
  await order(tab, "Potion", 1);
  await tab.locator("dialog li.doing").filter({ hasText: "Setting" }).waitFor();
  await tab.reload();
  await tab.locator(".purchase").filter({ hasText: "Under way" }).waitFor();
  await picture(tab, "under-way-list");
  await direct("release?inventory");
  await tab.locator(".toast.good").filter({ hasText: "1 × Potion: bought." }).waitFor();
  await picture(tab, "toast");
  await live(tab);
  await balance(tab, "80");

  await tab.close();
  const fast = await p.tab("store", (tab) => tab.clock.install()); // a tab whose time goes as the test wants
  await live(fast);
  await direct("cut"); // nobody is there for long
  await order(fast, "Potion", 1);
  await hurry(fast, outcome(fast, "The order could not be sent."));
  await picture(fast, "unsent");
  await direct("mend");
  await fast.getByRole("button", { name: "Send again" }).click();
  await hurry(fast, outcome(fast, "It is yours."));
  await done(fast);
  await balance(fast, "75");

  await direct("deaf"); // nothing is heard for long
  await direct("hold?inventory");
  await order(fast, "Potion", 1);
  await hurry(fast, fast.locator("dialog li.doing").filter({ hasText: "Setting" }).waitFor());
  await hurry(fast, outcome(fast, "This takes longer than usual."));
  await picture(fast, "slow");
  await fast.clock.fastForward(110_000);
  await hurry(fast, outcome(fast, "No word yet."));
  await picture(fast, "silent");
  await direct("release?inventory");
  await fast.getByRole("button", { name: "Look again" }).click();
  await hurry(fast, outcome(fast, "It is yours."));
  await done(fast);
  await balance(fast, "70");
  await direct("hear");
  await p.leave();
}

// hurry lets a second go by again and again, until something has come.
async function hurry(tab, something) {
  let over = false;
  something = something.finally(() => { over = true; });
  while (!over) {
    await Promise.race([something, new Promise((resolve) => setTimeout(resolve, 100))]);
    if (!over) await tab.clock.runFor(1000);
  }
  await something;
}

// A service is away until the purchase is called off.
async function calledOff() {
  const p = await person(PHONE);
  const tab = await register(p, "Gus");
  await direct("hold?inventory");
  await order(tab, "Potion", 1);
  await outcome(tab, "Not bought. A service did not answer in time, so the purchase was called off. Nothing was charged.");
  await tab.getByText("No answer in time").waitFor();
  await picture(tab, "called-off");
  await direct("release?inventory");
  await done(tab);
  await balance(tab, "100");
  await p.leave();
}

// The administrator fills an empty store, looks after players, and players see it.
async function administration() {
  const buyer = await person();
  const shop = await register(buyer, "Finn");
  await shop.getByRole("heading", { name: "The shelves are empty" }).waitFor();
  await picture(shop, "store-empty");

  const p = await person();
  const tab = await signIn(p, admin, password);
  await tab.getByRole("heading", { name: "The shelves are empty" }).waitFor();
  await tab.getByRole("main").getByRole("link", { name: "catalog" }).click();
  await picture(tab, "catalog-empty");
  await tab.getByRole("button", { name: "Add some samples" }).click();
  await tab.getByRole("rowheader", { name: "Phoenix feather" }).waitFor();
  await picture(tab, "catalog");
  await tab.getByRole("button", { name: "Add an item" }).click();
  await tab.getByLabel("Name").fill("Elixir");
  await tab.getByLabel("Description").fill("Restores everything.");
  await tab.getByLabel("Price in gil").fill("99.5");
  await tab.getByLabel("Stock").fill("2");
  await picture(tab, "catalog-add");
  await tab.getByRole("button", { name: "Add", exact: true }).click();
  await tab.getByRole("rowheader", { name: "Elixir" }).waitFor();
  await tab.getByRole("button", { name: "Edit Elixir" }).click();
  await tab.getByLabel("Price in gil").fill("9.5");
  await tab.getByRole("button", { name: "Save" }).click();
  await tab.getByRole("row").filter({ hasText: "Elixir" }).getByText("9.5 gil").waitFor();
  await tab.getByRole("button", { name: "Delete Antidote" }).click();
  await picture(tab, "catalog-delete");
  await tab.getByRole("button", { name: "Delete", exact: true }).click();
  await tab.getByRole("rowheader", { name: "Antidote" }).waitFor({ state: "detached" });

  await tab.getByRole("link", { name: "Users" }).click();
  await picture(tab, "users");
  await tab.getByRole("button", { name: "Edit Finn" }).click();
  await tab.getByLabel("E-mail").fill(admin); // is taken
  await tab.getByLabel("Gil").fill("1000");
  await tab.getByRole("button", { name: "Save" }).click();
  await tab.getByRole("alert").filter({ hasText: "of another account" }).waitFor();
  await picture(tab, "users-edit");
  await tab.getByLabel("E-mail").fill("finn@play.com");
  await tab.getByRole("button", { name: "Save" }).click();
  await tab.getByRole("row").filter({ hasText: "Finn" }).getByText("1,000 gil").waitFor();
  await tab.getByRole("button", { name: "Give Finn" }).click();
  await tab.getByText("Has nothing yet.").waitFor();
  await tab.getByLabel("Item", { exact: true }).selectOption({ label: "Bronze sword" });
  await tab.getByLabel("How many").fill("3");
  await picture(tab, "users-give");
  await tab.getByRole("button", { name: "Give", exact: true }).click();
  await tab.getByText("Finn has 3 × Bronze sword more.").waitFor();
  const phone = await person(PHONE);
  const small = await signIn(phone, admin, password, "catalog");
  await small.getByRole("rowheader", { name: "Elixir" }).waitFor();
  await picture(small, "catalog-phone");
  await small.getByRole("link", { name: "Users" }).click();
  await small.getByRole("rowheader", { name: "Finn" }).waitFor();
  await picture(small, "users-phone");
  await small.getByRole("button", { name: "Edit Finn" }).click();
  await picture(small, "users-edit-phone");
  await small.getByRole("button", { name: "Cancel" }).click();
  await small.getByRole("button", { name: "Delete Finn" }).click();
  await picture(small, "users-delete-phone");
  await phone.leave();

  await shop.getByRole("link", { name: "Inventory" }).click();
  await shop.getByLabel("3 pieces").waitFor();
  await shop.getByRole("link", { name: "Store" }).click();
  await shop.getByText("3 left").waitFor();
  await balance(shop, "1,000");
  await picture(shop, "store-full");
  await shop.getByRole("button", { name: "Buy Phoenix feather for" }).click();
  await shop.getByLabel("How many").fill("4");
  await shop.getByText("Only 3 left.").waitFor();
  await shop.getByRole("button", { name: "Buy", exact: true }).click();
  await outcome(shop, "Not bought. Only 3 left: you wanted 4. Nothing was charged.");
  await picture(shop, "no-stock");
  await done(shop);
  await order(shop, "Phoenix feather", 3);
  await outcome(shop, "They are yours.");
  await done(shop);
  await shop.getByRole("button", { name: "Phoenix feather is sold out" }).waitFor();
  await picture(shop, "sold-out");

  await tab.getByRole("button", { name: "Delete Finn" }).click();
  await tab.getByRole("button", { name: "Delete", exact: true }).click();
  await tab.getByRole("rowheader", { name: "Finn" }).waitFor({ state: "detached" });
  await order(shop, "Potion", 1);
  await outcome(shop, "Not bought. Your account is not known any more. Nothing was charged.");
  await p.leave();
  await buyer.leave();
}

// The page says where signing in works, when it does not work where it is opened.
async function elsewhere() {
  const p = await person();
  const port = new URL(portal).port;
  const tab = await p.context.newPage();
  await tab.goto(`http://play.test:${port}/economy/store`);
  await tab.getByRole("heading", { name: "This is not where the portal is" }).waitFor();
  await picture(tab, "elsewhere");
  await tab.getByRole("link", { name: "Open it there" }).click();
  await tab.waitForURL((u) => u.href.startsWith(new URL("/identity-svc/", portal).href)); // to sign in
  await tab.goto(`http://localhost:${port}/economy/store`); // the other name of this machine
  await tab.getByLabel("E-mail").fill(admin);
  await tab.getByLabel("Password").fill("not the password");
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.getByLabel("Password").fill(password);
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.waitForURL(`http://localhost:${port}/economy/store`);
  await live(tab);
  await tab.goto(portal + "authentication/login-callback?code=x&state=y"); // a link that is no answer
  await tab.getByRole("heading", { name: "You are not signed in" }).waitFor();
  await picture(tab, "not-signed-in");
  await p.leave();
}

async function buying() {
  await buyer(DESKTOP, "Ada");
  await buyer(DARK, "Bea");
}

const tabs = new Set(); // all there were, for what was to be seen when it failed
try {
  await { buying, together, trouble, calledOff, administration, elsewhere }[scene]();
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
