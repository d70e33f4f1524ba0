// The connection to the hub: one for the tab, as long as somebody is signed in.

import { config } from "./config.js";
import { current, token, Ended } from "./session.js";
import { Hub } from "./signalr.js";

const AGAIN = 5000; // ms until a connection that could not be made is tried again

const listeners = { state: new Set(), purchase: new Set() };
let hub = null;
let timer = 0;

export let state = "off"; // "off", "connecting", "connected", "reconnecting"

// onState calls f when the connection comes or goes.
export function onState(f) { listeners.state.add(f); }

// onPurchase calls f with what a purchase has come to.
export function onPurchase(f) { listeners.purchase.add(f); }

// transport is what the connection goes over.
export const transport = () => hub?.transport || "";

function say(to) {
  if (to === state) return;
  state = to;
  for (const f of listeners.state) f(state);
}

// connect connects, and keeps the connection until disconnect.
export function connect() {
  if (hub) return;
  hub = new Hub(config.hub, { token: current });
  const mine = hub;
  for (const target of ["ReceivePurchaseStatus", "ReceivePurchaseProgress"]) hub.on(target, (p) => listeners.purchase.forEach((f) => f(p)));
  hub.onState = (to, reason) => {
    if (mine !== hub) return;
    if (to === "closed") { // only a refusal, or the server's wish, is final for the hub: it may pass
      mine.refused = reason.includes("(401)");
      later(mine, mine.refused ? 1000 : AGAIN);
    }
    say(to === "connected" ? "connected" : state === "off" || state === "connecting" ? "connecting" : "reconnecting");
  };
  start(mine);
}

function later(mine, ms) {
  clearTimeout(timer);
  timer = setTimeout(() => start(mine), ms);
}

// start connects, unless that is under way. The hub itself repairs what breaks later.
async function start(mine) {
  clearTimeout(timer);
  if (mine !== hub || mine.starting || mine.state === "connected") return;
  mine.starting = true;
  try {
    await token(mine.refused === true);
    if (mine !== hub) return;
    mine.refused = false;
    await mine.start();
  } catch (err) {
    if (mine === hub && !mine.refused && !(err instanceof Ended)) later(mine, AGAIN);
  } finally {
    mine.starting = false;
  }
}

export function disconnect() {
  clearTimeout(timer);
  const mine = hub;
  hub = null;
  if (mine) mine.stop();
  say("off");
}

// The network is back, or the page was looked at again: no need to wait.
addEventListener("online", () => { if (hub && state !== "connected") start(hub); });
addEventListener("pagehide", disconnect);
