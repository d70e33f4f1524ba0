// The catalog: watch parts and pipelines, publish to them. It shares the token of the page and has a connection of its own, which
// it opens with the first subscription.

import { Hub } from "./signalr.js";
import { $, el, call, sentence, showState } from "./dom.js";

const HUB = "/centro/events";
const MOST = 200; // events that are kept on the page
const SAMPLES = {
  part: { EventType: 1, ResourceKey: "r-17", ResourceName: "drawing.pdf", Version: 1 },
  pipeline: { Id: "j-1", Name: "render", Status: 1, Progress: 50 },
};
const TYPES = ["added", "updated", "deleted", "moved", "renamed", "metadata changed", "content changed", "lock changed"];
const STATES = ["queued", "running", "paused", "succeeded", "failed", "cancelled"];

let token = "";
let hub = null;
let opening = null; // of the connection, while it opens
let count = 0;
const wanted = new Map(); // what we have subscribed to; asked for again after every loss

// useToken is called when the page has connected; with "" when it has disconnected.
export function useToken(value) {
  token = value;
  if (token || !hub) return;
  hub.stop();
  hub = null;
  wanted.clear();
  showSubscriptions();
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
  hub = new Hub(HUB, { token: () => mine, ...(only && { transports: [only] }) });
  hub.on("Update", show);
  hub.onState = (state, reason) => showState($("c-state"), hub, state, reason);
  hub.onConnected = async () => {
    for (const [kind, key] of wanted.values()) {
      await hub.invoke("SubscribeTo" + title(kind), key).catch((err) => { $("c-error").textContent = sentence(err.message); });
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

$("c-subscribe").addEventListener("submit", (e) => {
  e.preventDefault();
  change("SubscribeTo", $("c-kind").value, $("c-key").value.trim());
});

async function change(verb, kind, key) {
  $("c-error").textContent = "";
  try {
    const open = await connection();
    await open.invoke(verb + title(kind), key);
    if (verb === "SubscribeTo") wanted.set(kind + " " + key, [kind, key]);
    else wanted.delete(kind + " " + key);
    showSubscriptions();
  } catch (err) {
    $("c-error").textContent = sentence(err.message);
  }
}

function showSubscriptions() {
  $("c-subscriptions").replaceChildren(...[...wanted.values()].map(([kind, key]) => el("li", {}, el("span", {}, `${kind} ${key}`), el("button", {
    type: "button", class: "small", "aria-label": `Unsubscribe from ${kind} ${key}`, onclick: () => change("UnsubscribeFrom", kind, key),
  }, "Remove"))));
}

// ── watch ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

function show(event) {
  $("c-empty").hidden = true;
  $("c-count").textContent = ++count;
  const e = event !== null && typeof event === "object" ? event : {};
  const word = TYPES[e.EventType] ?? STATES[e.Status] ?? String(e.EventType ?? e.Status ?? "event").toLowerCase();
  const what = e.ResourceName ?? e.ResourceKey ?? e.Name ?? e.Id ?? "";
  const where = e.PartKey != null ? `part ${e.PartKey}` : e.PipelineId != null ? `pipeline ${e.PipelineId}` : "";
  const list = $("c-events");
  list.prepend(el("li", { class: "fresh" },
    el("details", { class: "message" },
      el("summary", {},
        el("span", { class: `pill ${/^[a-z]+$/.test(word) ? word : "event"}` }, word),
        el("strong", {}, String(what)),
        el("span", { class: "quiet" }, where),
        el("time", {}, new Date().toLocaleTimeString())),
      el("pre", {}, JSON.stringify(event, null, 2)))));
  while (list.children.length > MOST) list.lastElementChild.remove();
}

$("c-clear").addEventListener("click", () => {
  count = 0;
  $("c-count").textContent = "0";
  $("c-events").replaceChildren();
  $("c-empty").hidden = false;
});

// ── publish ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

$("cp-kind").addEventListener("change", () => {
  if (Object.values(SAMPLES).some((s) => text(s) === $("cp-event").value)) $("cp-event").value = text(SAMPLES[$("cp-kind").value]);
});

$("c-publish").addEventListener("submit", async (e) => {
  e.preventDefault();
  const result = $("cp-result");
  result.className = "result";
  result.textContent = "";
  try {
    if (!token) throw new Error("Connect first.");
    const kind = $("cp-kind").value;
    const key = $("cp-key").value.trim();
    await call(`/centro/${kind}s/${encodeURIComponent(key)}/events`, $("cp-event").value, token);
    result.classList.add("good");
    result.textContent = `Published to ${kind} ${key}`;
  } catch (err) {
    result.classList.add("bad");
    result.textContent = sentence(err.message);
  }
});

function text(sample) { return JSON.stringify(sample).replaceAll('":', '": ').replaceAll(',"', ', "'); }

function title(kind) { return kind[0].toUpperCase() + kind.slice(1); }
