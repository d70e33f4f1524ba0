// What becomes of purchases. The hub tells it; when it does not, the trading service is asked, until the purchase has ended or for
// so long that nobody should wait any more. A purchase is known by its id, which is made here: sending it twice buys once.
//
// The purchases of a player are remembered in the browser, for all its tabs and after a reload.

import * as api from "./api.js";
import * as live from "./live.js";
import { Ended } from "./session.js";
import { pause, uuid } from "./dom.js";

const MOST = 30; // that are remembered
const QUIET = 1500; // ms without news after which the service is asked
const SLOWEST = 5000; // between two questions
const SEND = [0, 1000, 2000, 4000, 8000]; // ms before each attempt to send
const PATIENCE = 100_000; // ms: the service itself ends a purchase sooner, 60 s by default

// States in their order, and those that are final.
const ORDER = ["", "Accepted", "ItemsGranted", "GilDebited", "Completed", "Faulted"];
const FINAL = ["Completed", "Faulted"];

let key = ""; // in the browser's storage
let all = new Map();
const listeners = new Set();
const running = new Map(); // id → function that wakes the one who asks

// A purchase is { id, item, name, quantity, total, phase, state, reason, began, times, history }. Its phase is "sending", "open",
// "ended", "refused" (the service did not take it), "unsent" (nobody answered) or "silent" (no end was heard of in time).

// onChange calls f with a purchase that has changed, and what it was before.
export function onChange(f) {
  listeners.add(f);
  return () => listeners.delete(f);
}

// list returns the purchases, newest first.
export const list = () => [...all.values()].sort((a, b) => b.began - a.began);

export const find = (id) => all.get(id);

export const isOver = (p) => p.phase === "ended" || p.phase === "refused";

// open begins with the purchases of a player, and goes on with those that were under way.
export function open(user) {
  key = "economy.purchases." + user;
  all = new Map(read().map((p) => [p.id, p]));
  for (const p of all.values()) if (!isOver(p)) run(p.id, false);
}

// close forgets them until the next open.
export function close() {
  key = "";
  all = new Map();
  for (const wake of running.values()) wake();
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(key) || "[]");
  } catch {
    return [];
  }
}

function change(id, to) {
  if (!key) return null;
  const before = all.get(id) || {};
  const p = { id, ...before, ...to };
  all.set(id, p);
  const merged = new Map(read().map((q) => [q.id, q])); // another tab may have added some
  for (const q of all.values()) merged.set(q.id, q);
  all = new Map([...merged.values()].sort((a, b) => b.began - a.began).slice(0, MOST).map((q) => [q.id, q]));
  try {
    localStorage.setItem(key, JSON.stringify([...all.values()]));
  } catch { /* full, or not allowed: then they last as long as the page */ }
  for (const f of listeners) f(p, before);
  return p;
}

// buy begins a purchase and returns it.
export function buy(item, quantity) {
  return change(uuid(), {
    item: item.id, name: item.name, quantity, total: item.price * quantity, phase: "sending", state: "", reason: "", began: Date.now(), times: {}, history: [],
  });
}

// run sends a purchase if nothing was heard of it yet, unless it must not be sent now, and follows it to its end.
export async function run(id, mayBeSent = true) {
  if (running.has(id)) {
    running.get(id)();
    return;
  }
  running.set(id, () => {});
  try {
    if (mayBeSent && !all.get(id).state && !await send(id)) return;
    await follow(id, mayBeSent ? QUIET : 0);
  } catch (err) {
    if (!(err instanceof Ended)) throw err; // who signs in again finds the purchase where it is
  } finally {
    running.delete(id);
  }
}

// send reports whether the service has the purchase.
async function send(id) {
  change(id, { phase: "sending", reason: "" });
  for (const wait of SEND) {
    await sleep(id, wait);
    const p = all.get(id);
    if (!p) return false;
    if (p.state) return true; // the hub was faster than the answer
    try {
      await api.purchase(p.item, p.quantity, id);
      if (all.has(id)) change(id, all.get(id).state ? {} : { phase: "open", sent: Date.now() });
      return all.has(id);
    } catch (err) {
      if (err instanceof Ended) throw err;
      if (!all.has(id)) return false;
      change(id, { reason: err.message });
      if (!err.again) {
        change(id, { phase: "refused" });
        return false;
      }
    }
  }
  change(id, { phase: "unsent" });
  return false;
}

// sleep waits for so long, or until it is woken.
function sleep(id, ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    running.set(id, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function follow(id, wait) {
  const begin = Date.now();
  if (all.has(id) && !isOver(all.get(id))) change(id, { phase: "open" });
  for (let p = all.get(id); p && p.phase === "open"; p = all.get(id)) {
    const seen = p.state;
    await sleep(id, wait);
    p = all.get(id);
    if (!p || p.phase !== "open") break;
    if (p.state !== seen) { // told meanwhile
      wait = QUIET;
      continue;
    }
    if (Date.now() - begin > PATIENCE) {
      change(id, { phase: "silent" });
      return;
    }
    await look(id);
    wait = Math.min(Math.max(wait, QUIET / 1.5) * 1.5, SLOWEST);
  }
  if (all.get(id)?.phase === "ended") await learn(id);
}

// look asks the service what a purchase has come to.
async function look(id) {
  try {
    const s = await api.status(id);
    take(id, { currentState: s.state, errorMessage: s.reason, purchaseTotal: s.purchaseTotal, lastUpdated: s.lastUpdated, received: s.received });
  } catch (err) {
    if (err instanceof Ended) throw err;
    if (err.status === 404 && all.has(id)) change(id, { phase: "refused", reason: "The order did not arrive, so nothing was bought." });
  }
}

// take notes a state that was told or asked for, unless a later one is known.
function take(id, s) {
  const p = all.get(id);
  if (!p || FINAL.includes(p.state) || ORDER.indexOf(s.currentState) <= ORDER.indexOf(p.state)) return;
  change(id, {
    state: s.currentState, phase: FINAL.includes(s.currentState) ? "ended" : "open", reason: s.errorMessage || "", received: s.received,
    total: s.purchaseTotal ?? p.total, times: { ...p.times, [s.currentState]: s.lastUpdated },
  });
}

// learn gets the history of a purchase, which also says what was undone: that may take a moment longer than the purchase.
export async function learn(id) {
  for (const wait of [0, 1000, 3000]) {
    await pause(wait);
    if (!all.has(id)) return;
    try {
      const history = await api.history(id);
      if (!all.has(id)) return;
      const times = {};
      for (const step of history) times[step.state] = times[step.state] || step.at;
      if (history.length !== (all.get(id).history || []).length) change(id, { history, times: { ...all.get(id).times, ...times } });
      if (all.get(id).state !== "Faulted" || history.some((step) => step.message.endsWith("confirmed"))) return;
    } catch { /* the steps are known without it, only not so well */ }
  }
}

// A push is of this tab's purchase, of another tab's or of another device's.
live.onPurchase((s) => {
  const id = s.correlationId;
  if (!key) return;
  if (!all.has(id)) {
    const kept = read().find((p) => p.id === id);
    change(id, kept || {
      item: s.itemId, name: "", quantity: s.quantity, total: s.purchaseTotal, phase: "open", state: "", reason: "", began: Date.parse(s.received), times: {}, history: [],
    });
  }
  take(id, s);
  run(id, false);
});

// After a loss of the connection something may have been missed.
live.onState((state) => {
  if (state === "connected") for (const wake of running.values()) wake();
});

// Other tabs change the list too.
addEventListener("storage", (e) => {
  if (!key || e.key !== key) return;
  for (const p of read()) {
    const mine = all.get(p.id);
    if (mine && (running.has(p.id) || isOver(mine))) continue; // what is known here is as new
    all.set(p.id, p);
    for (const f of listeners) f(p, mine || {});
  }
});
