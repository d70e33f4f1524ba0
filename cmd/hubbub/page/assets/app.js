// The page: connect, subscribe, watch, publish. The token is kept in memory only.

import { Hub } from "./signalr.js";
import { $, el, call, sentence } from "./dom.js";
import { useToken } from "./catalog.js";
import { useRelayToken } from "./relay.js";
import { watchStatus } from "./status.js";

const HUB = "/signalr/v1/mainHub";
const MOST = 200; // notifications that are kept on the page
const CHANGED = "portos.resources.changed";
const ACTIONS = ["", "created", "updated", "deleted"];

let hub = null;
let token = "";
let count = 0;
const wanted = new Map(); // what we have subscribed to, by its JSON; asked for again after every loss

// ── connect ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

for (const way of document.querySelectorAll("input[name=way]")) {
  way.addEventListener("change", () => {
    $("by-password").hidden = way.value !== "password";
    $("by-token").hidden = way.value !== "token";
  });
}

$("login").addEventListener("submit", async (e) => {
  e.preventDefault();
  const button = e.submitter;
  $("login-error").textContent = "";
  button.disabled = true;
  try {
    const way = document.querySelector("input[name=way]:checked").value;
    token = way === "token" ? $("token").value.trim() : await logIn();
    if (!token) throw new Error("Paste a token first.");
    await connect();
  } catch (err) {
    $("login-error").textContent = sentence(err.message);
  } finally {
    button.disabled = false;
  }
});

async function logIn() {
  const answer = await call("/api/auth", JSON.stringify({
    UserName: $("user").value, Password: $("password").value, DeviceName: $("device").value,
  }));
  $("password").value = "";
  return answer.tokenId;
}

async function connect() {
  const only = new URLSearchParams(location.search).get("transport"); // for trying one of them
  hub = new Hub(HUB, { token: () => token, ...(only && { transports: [only] }) });
  hub.on("OnEvent", show);
  hub.onState = showState;
  hub.onConnected = async () => {
    for (const payload of wanted.values()) {
      try {
        await hub.invoke("Subscribe", payload);
      } catch (err) {
        $("subscribe-error").textContent = sentence(err.message);
      }
    }
  };
  await hub.start();
  share(token);
}

$("disconnect").addEventListener("click", () => hub.stop());

// share gives the token to the other parts of the page, or takes it from them.
function share(value) {
  useToken(value);
  useRelayToken(value);
}

function showState(state, reason) {
  const there = state === "connected" || state === "reconnecting";
  $("login").hidden = there;
  $("connection").hidden = !there;
  const words = { connected: ["Connected", "good"], reconnecting: ["Connection lost, trying again …", "warn"] };
  const [text, kind] = words[state] || ["", ""];
  $("state").textContent = text;
  $("state").className = kind;
  $("state-detail").textContent = state === "connected" ? `${hub.transport}, connection ${hub.connectionId}` : reason;
  if (state === "closed") {
    share("");
    if (reason) $("login-error").textContent = sentence(reason);
  }
}

// ── subscribe ───────────────────────────────────────────────────────────────────────────────────────────────────────────

$("event").addEventListener("change", () => { $("filters").hidden = $("event").value !== CHANGED; });

$("subscribe").addEventListener("submit", async (e) => {
  e.preventDefault();
  const payload = { e: $("event").value };
  if (payload.e === CHANGED) {
    const names = $("resources").value.split(",").map((s) => s.trim()).filter(Boolean);
    const actions = [...document.querySelectorAll("input[name=action]:checked")].map((c) => c.value);
    if (names.length) payload.r = names.map((n) => (actions.length ? { n, a: actions } : { n }));
    else if (actions.length) return void ($("subscribe-error").textContent = "Actions need at least one resource.");
  }
  await change("Subscribe", payload);
});

async function change(method, payload) {
  $("subscribe-error").textContent = "";
  const key = JSON.stringify(payload);
  try {
    if (!hub || hub.state !== "connected") throw new Error("Connect first.");
    await hub.invoke(method, payload);
    if (method === "Subscribe") wanted.set(key, payload);
    else wanted.delete(key);
    showSubscriptions();
  } catch (err) {
    $("subscribe-error").textContent = sentence(err.message);
  }
}

function showSubscriptions() {
  $("subscriptions").replaceChildren(...[...wanted.values()].map((payload) => {
    const text = describe(payload);
    return el("li", {}, el("span", {}, text), el("button", {
      type: "button", class: "small", "aria-label": `Unsubscribe from ${text}`, onclick: () => change("Unsubscribe", payload),
    }, "Remove"));
  }));
}

function describe(payload) {
  if (payload.e !== CHANGED) return "licence activated";
  if (!payload.r) return "all resources";
  const actions = payload.r[0].a;
  return payload.r.map((r) => r.n).join(", ") + (actions ? ": " + actions.join(", ") : "");
}

// ── watch ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

function show(n) {
  $("empty").hidden = true;
  $("count").textContent = ++count;
  const p = n.p || {};
  const changed = n.e === CHANGED;
  const word = changed ? ACTIONS[p.a] || `action ${p.a}` : "licence";
  const what = changed ? `${p.n} ${p.i?.i ?? ""}` : n.e;
  const version = p.i?.v != null ? `version ${p.i.v}` : "";
  const by = n.s?.u?.u ? `by ${n.s.u.u}` : "";
  const item = el("li", { class: "fresh" },
    el("details", { class: "message" },
      el("summary", {},
        el("span", { class: `pill ${ACTIONS.includes(word) ? word : "licence"}` }, word),
        el("strong", {}, what),
        el("span", { class: "quiet" }, [version, by].filter(Boolean).join(", ")),
        el("time", { datetime: n.ca ?? "" }, n.ca ? new Date(n.ca).toLocaleTimeString() : "")),
      el("pre", {}, JSON.stringify(n, null, 2))));
  const list = $("messages");
  list.prepend(item);
  while (list.children.length > MOST) list.lastElementChild.remove();
}

$("clear").addEventListener("click", () => {
  count = 0;
  $("count").textContent = "0";
  $("messages").replaceChildren();
  $("empty").hidden = false;
});

// ── publish ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

$("publish").addEventListener("submit", async (e) => {
  e.preventDefault();
  const result = $("publish-result");
  result.className = "result";
  result.textContent = "";
  try {
    if (!token) throw new Error("Connect first.");
    const text = $("p-object").value.trim();
    let objects = [];
    try {
      if (text) objects = [JSON.parse(text)];
    } catch {
      throw new Error("The object is no JSON.");
    }
    const name = $("p-resource").value.trim();
    const answer = await call("/api/v1/notifications", JSON.stringify({
      e: CHANGED,
      ...(hub?.connectionId && { s: { c: hub.connectionId } }),
      p: {
        n: name,
        a: $("p-action").value,
        i: { i: $("p-id").value, n: name, v: Number($("p-version").value) || 1 },
        r: objects,
      },
    }), token);
    result.classList.add("good");
    result.textContent = `Accepted as ${answer.id.slice(0, 8)}…`;
    $("p-version").value = (Number($("p-version").value) || 1) + 1;
  } catch (err) {
    result.classList.add("bad");
    result.textContent = sentence(err.message);
  }
});

watchStatus();
