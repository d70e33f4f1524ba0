// The shell: who is signed in, which page is shown, how the connection is.

import * as api from "./api.js";
import * as catalog from "./catalog.js";
import * as inventory from "./inventory.js";
import * as landing from "./landing.js";
import * as live from "./live.js";
import * as purchases from "./purchases.js";
import * as store from "./store.js";
import * as users from "./users.js";
import { $, coins, el, pause } from "./dom.js";
import { elsewhere, here, link, root } from "./config.js";
import { onChange, signedIn, signIn, signOut, user, Ended } from "./session.js";
import { isWatched, watch } from "./buy.js";
import { toast } from "./dialog.js";
import { what, why } from "./words.js";

const PAGES = { "": landing, store, inventory, catalog, users };

let shown = null; // what the page on show gave: { load, stop }
let visit = 0; // counts pages: what an earlier one still does is of no use

// shell is what pages have of it.
const shell = {
  balance(gil) { $("gil")?.replaceChildren(coins(gil)); },
  // attempt does something and says what is wrong.
  async attempt(act) {
    try {
      return await act();
    } catch (err) {
      if (!(err instanceof Ended)) toast("bad", err.message);
      return undefined;
    }
  },
  // again does something now, and in a moment once more: what one service has told, another has not heard of yet.
  async again(act) {
    const mine = visit;
    for (const wait of [0, 700, 2000]) {
      await pause(wait);
      if (mine === visit) await act().catch(() => {});
    }
  },
};

function header(page) {
  const who = user();
  const names = who ? ["store", "inventory", ...(who.admin ? ["catalog", "users"] : [])] : [];
  $("nav").replaceChildren(...names.map((n) => el("a", { href: link(n), "data-to": n, ...(n === page ? { "aria-current": "page" } : {}) }, PAGES[n].title)));
  if (!who) {
    $("account").replaceChildren(page === "" || elsewhere ? "" : el("button", { type: "button", onclick: () => shell.attempt(() => signIn()) }, "Sign in"));
    return;
  }
  if ($("gil") && $("who").textContent === who.name) return;
  $("account").replaceChildren(el("p", { class: "who" }, el("span", { id: "who" }, who.name), el("span", { id: "gil" })),
    el("button", { type: "button", onclick: () => shell.attempt(signOut) }, "Sign out"));
}

// go shows a page of the portal.
async function go(page, push = true) {
  if (push && page !== here()) history.pushState(null, "", link(page));
  const mine = ++visit;
  shown?.stop?.();
  shown = null;
  const main = $("main");
  const of = PAGES[page];
  header(page);
  document.title = (of?.title ? of.title + " – " : "") + "Play Economy";
  main.className = page || "landing";
  if (!of) {
    message("There is no such page", "The address may be mistyped.", el("a", { class: "button", href: root.href, "data-to": "" }, "To the first page"));
  } else if (of !== landing && !user()) {
    await enter(page);
  } else if (of.admin && !user().admin) {
    message("For administrators", "Your account may not see this page.", el("a", { class: "button", href: link("store"), "data-to": "store" }, "To the store"));
  } else {
    main.setAttribute("aria-busy", "true");
    try {
      const it = await of.show(main, shell);
      if (mine === visit) shown = it || null;
      else it?.stop?.();
    } catch (err) {
      if (mine === visit && !(err instanceof Ended)) message("That did not work", err.message, el("button", { type: "button", class: "primary", onclick: () => go(page) }, "Try again"));
    }
    if (mine === visit) main.removeAttribute("aria-busy");
  }
  if (push && mine === visit) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
}

function message(heading, text, ...actions) {
  $("main").replaceChildren(el("section", { class: "message" }, el("h1", {}, heading), el("p", {}, text), el("div", { class: "actions start" }, actions)));
}

// enter asks who it is, and comes back to the page.
async function enter(page) {
  message("Signing in …", "");
  try {
    await signIn(page);
  } catch (err) {
    message("Signing in does not work", err.message, el("button", { type: "button", class: "primary", onclick: () => enter(page) }, "Try again"));
  }
}

// begin finds out what the address means.
async function begin() {
  const page = here();
  if (elsewhere) {
    header(page);
    const to = elsewhere + (page.startsWith("authentication/") ? "" : page);
    message("This is not where the portal is", `Signing in works at ${elsewhere} only, which is the address that the identity service knows.`, el("a", { class: "button primary", href: to }, "Open it there"));
    return;
  }
  if (page === "authentication/login-callback") {
    try {
      const to = await signedIn();
      history.replaceState(null, "", link(to));
    } catch (err) {
      history.replaceState(null, "", link("store"));
      header("");
      message("You are not signed in", err.message, el("button", { type: "button", class: "primary", onclick: () => enter("store") }, "Try again"), el("a", { class: "button", href: root.href, "data-to": "" }, "To the first page"));
      return;
    }
  }
  if (page === "authentication/logout-callback") {
    history.replaceState(null, "", root.href);
    toast("good", "You are signed out.");
  }
  if (user()) {
    purchases.open(user().id);
    live.connect();
  }
  await go(here(), false);
  if (user() && here() !== "store") balance().catch(() => {});
}

document.addEventListener("click", (e) => {
  const a = e.target.closest("a[data-to]");
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || elsewhere) return;
  e.preventDefault();
  go(a.dataset.to);
});
addEventListener("popstate", () => { if (!elsewhere) go(here(), false); });
addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); }); // connection and purchases were ended when it went

// Somebody signed out in another tab, or the sign-in has ended.
onChange(() => {
  live.disconnect();
  purchases.close();
  for (const d of document.querySelectorAll("dialog")) d.close();
  visit++;
  shown?.stop?.();
  shown = null;
  const page = here();
  header(page);
  message("You are signed out", "Sign in again to go on where you were. Purchases that are under way go on without you.",
    el("button", { type: "button", class: "primary", onclick: () => enter(page) }, "Sign in"));
});

let alarm = 0; // a connection that comes back at once is no news

const lost = () => el("p", {}, el("strong", {}, "Connection lost. "), "Trying again; what becomes of purchases is looked up meanwhile.");

live.onState((state) => {
  $("live").className = "live " + state;
  $("live").textContent = { off: "", connecting: "Connecting …", connected: `Live over ${live.transport()}`, reconnecting: "Connection lost" }[state];
  clearTimeout(alarm);
  if (state === "reconnecting") alarm = setTimeout(() => $("banner").replaceChildren(lost()), 1500);
  else $("banner").replaceChildren();
  if (state === "connected" && shown?.load) shown.load().catch(() => {});
});

// What ends while nobody watches is said.
purchases.onChange((p, before) => {
  if (p.phase !== "ended" || before.phase === "ended" || isWatched(p.id)) return;
  const look = { words: "Show", run: () => watch(p) };
  if (p.state === "Completed") toast("good", `${what(p)}: bought.`, look);
  else toast("bad", `${what(p)}: not bought. ${why(p.reason)}`, look);
  if (here() !== "store") shell.again(balance);
});

async function balance() { shell.balance((await api.store()).userGil); }

begin();
