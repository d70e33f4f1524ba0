// The relay: subscribe to events, trigger them, and see what becomes of the tickets. It shares the token of the page and has a
// connection of its own, which it opens with the first subscription.

import { Hub } from "./signalr.js";
import { $, el, call, sentence, showState } from "./dom.js";

const MOST = 200; // events that are kept on the page
const SHOWN = 30; // tickets
const EVERY = 3000; // between two looks at the tickets

let path = "/realtimehub"; // where the hub is, as /status says
let token = "";
let hub = null;
let opening = null; // of the connection, while it opens
let count = 0;
const wanted = new Map(); // cookies by eventguid; subscribed again after every loss

// useRelayToken is called when the page has connected; with "" when it has disconnected.
export function useRelayToken(value) {
  token = value;
  if (token) {
    showTickets();
    return;
  }
  tickets([]);
  $("t-empty").textContent = "Connect, and the tickets appear here.";
  if (!hub) return;
  hub.stop();
  hub = null;
  wanted.clear();
  showSubscriptions();
}

// showRelay is called with what /status says of the relay, or nothing.
export function showRelay(system) {
  $("relay").hidden = !system;
  if (system) path = system.hubs[0].path;
}

async function connection() {
  if (!token) throw new Error("Connect first.");
  if (hub && (opening || hub.state === "connected")) {
    await opening;
    return hub;
  }
  if (hub && hub.state === "reconnecting") throw new Error("The connection is lost, trying again …");
  const only = new URLSearchParams(location.search).get("transport");
  const mine = token; // still needed to say goodbye when the page has forgotten it
  hub = new Hub(path, { token: () => mine, ...(only && { transports: [only] }) });
  hub.on("ReceiveEvent", show);
  hub.onState = (state, reason) => showState($("r-state"), hub, state, reason);
  hub.onConnected = async () => {
    for (const [guid, cookie] of wanted) {
      await hub.invoke("SubscribeToEvent", guid, cookie).catch((err) => { $("r-error").textContent = sentence(err.message); });
    }
  };
  opening = hub.start();
  try {
    await opening;
  } finally {
    opening = null;
  }
  return hub;
}

// ── subscribe ───────────────────────────────────────────────────────────────────────────────────────────────────────────

$("r-subscribe").addEventListener("submit", (e) => {
  e.preventDefault();
  change($("r-guid").value, $("r-cookie").value);
});

async function change(guid, cookie) {
  $("r-error").textContent = "";
  try {
    const open = await connection();
    await open.invoke("SubscribeToEvent", guid, cookie);
    if (cookie.trim()) wanted.set(guid, cookie);
    else wanted.delete(guid);
    showSubscriptions();
  } catch (err) {
    $("r-error").textContent = sentence(err.message);
  }
}

function showSubscriptions() {
  $("r-subscriptions").replaceChildren(...[...wanted].map(([guid, cookie]) => el("li", {},
    el("span", { class: "wrap" }, guid, el("br"), el("span", { class: "quiet" }, cookie)),
    el("button", { type: "button", class: "small", "aria-label": `End ${guid}`, onclick: () => change(guid, "") }, "End"))));
}

// ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

function show(guid, cookie) {
  $("r-empty").hidden = true;
  $("r-count").textContent = ++count;
  const list = $("r-events");
  list.prepend(el("li", { class: "fresh" },
    el("div", { class: "message" },
      el("p", { class: "line" }, el("strong", {}, guid), el("time", {}, new Date().toLocaleTimeString())),
      el("p", { class: "quiet wrap" }, cookie))));
  while (list.children.length > MOST) list.lastElementChild.remove();
}

$("r-clear").addEventListener("click", () => {
  count = 0;
  $("r-count").textContent = "0";
  $("r-events").replaceChildren();
  $("r-empty").hidden = false;
});

$("r-trigger").addEventListener("submit", async (e) => {
  e.preventDefault();
  const result = $("rt-result");
  result.className = "result";
  result.textContent = "";
  try {
    if (!token) throw new Error("Connect first.");
    const answer = await call("/realtime/events/trigger", JSON.stringify({ eventguid: $("rt-guid").value }), token);
    result.classList.add("good");
    result.textContent = answer.listeners === 1 ? "Triggered, 1 listener" : `Triggered, ${answer.listeners} listeners`;
  } catch (err) {
    result.classList.add("bad");
    result.textContent = sentence(err.message);
  }
});

// ── tickets ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

setInterval(() => { if (token && !document.hidden && !$("relay").hidden) showTickets(); }, EVERY);

async function showTickets() {
  try {
    const all = [];
    let next = "";
    for (let page = 0; page < 5; page++) {
      const response = await fetch(`/realtime/tickets?limit=1000&after=${encodeURIComponent(next)}`, { cache: "no-store", headers: { Authorization: "Bearer " + token } });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.detail || answer.title);
      all.push(...answer.items);
      next = answer.next;
      if (!next) break;
    }
    if (token) tickets(all);
  } catch (err) {
    $("t-empty").hidden = false;
    $("t-empty").textContent = sentence(err.message);
  }
}

function tickets(all) {
  $("t-count").textContent = all.length;
  $("t-empty").hidden = all.length > 0;
  $("t-empty").textContent = "There are none.";
  $("t-tickets").replaceChildren(...all.slice(-SHOWN).reverse().map((t) => el("li", {},
    el("p", { class: "line" },
      el("span", { class: `pill ${{ done: "succeeded", failed: "failed", running: "updated" }[t.state] || ""}` }, t.state),
      el("strong", {}, t.viewModel ?? ""),
      el("span", { class: "quiet" }, t.rootId ?? ""),
      el("time", { datetime: t.createTime }, new Date(t.createTime).toLocaleTimeString())),
    ...(t.error ? [el("p", { class: "bad wrap" }, t.error)] : []),
    ...(t.state === "failed" ? [el("button", { type: "button", class: "small", "aria-label": `Retry ticket ${t.id}`, onclick: () => retry(t.id) }, "Retry")] : []))));
}

async function retry(id) {
  await call(`/realtime/tickets/${id}/retry`, "", token).catch((err) => { $("tt-result").textContent = sentence(err.message); });
  showTickets();
}

$("t-create").addEventListener("submit", async (e) => {
  e.preventDefault();
  const result = $("tt-result");
  result.className = "result";
  result.textContent = "";
  try {
    if (!token) throw new Error("Connect first.");
    const t = await call("/realtime/tickets", JSON.stringify({ viewModel: $("tt-model").value, rootId: $("tt-root").value }), token);
    result.classList.add("good");
    result.textContent = `Made as ${t.id}`;
    showTickets();
  } catch (err) {
    result.classList.add("bad");
    result.textContent = sentence(err.message);
  }
});
