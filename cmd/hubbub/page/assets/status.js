// What is running: asks /status every few seconds while the page is seen.

import { $, el } from "./dom.js";
import { showRelay } from "./relay.js";

const EVERY = 3000;

export function watchStatus() {
  ask();
  setInterval(() => { if (!document.hidden) ask(); }, EVERY);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
}

async function ask() {
  try {
    const response = await fetch("/status", { cache: "no-store" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json());
  } catch (err) {
    $("running-line").textContent = "The server does not answer.";
    $("running-line").className = "bad";
  }
}

function show(s) {
  const line = $("running-line");
  line.className = "quiet";
  line.textContent = `Version ${s.version}, up ${duration(s.uptimeSeconds)}`;
  const mode = $("mode");
  mode.hidden = !s.development && !s.draining;
  mode.textContent = s.draining ? "stopping" : "development";
  $("catalog").hidden = !s.systems.some((one) => one.name === "catalog");
  const portal = s.systems.find((one) => one.name === "economy")?.portal;
  $("economy").hidden = !portal;
  if (portal) $("portal").href = portal;
  $("portal-hint").hidden = !s.development;
  showRelay(s.systems.find((one) => one.name === "relay"));
  $("demo-hint").hidden = !s.development;
  const cards = s.systems.flatMap((system) => system.hubs.map((hub) => card(system, hub)));
  $("systems").replaceChildren(...cards);
}

function card(system, hub) {
  const figure = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, short(value)));
  return el("div", { class: "card" },
    el("h3", {}, system.hubs.length > 1 ? `${system.title}, ${hub.name}` : system.title),
    el("p", { class: "quiet" }, hub.path),
    el("dl", {}, figure("connected", hub.connections), figure("users", hub.users), figure("received", hub.received), figure("sent", hub.sent),
      ...(hub.figures ?? []).map((f) => figure(f.name, f.value))));
}

function short(n) {
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(n);
}

function duration(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const i = Math.min(parts.findIndex(([size]) => seconds >= size), 3);
  if (i < 0) return "0 s";
  const [size, unit] = parts[i];
  const rest = parts[i + 1] && Math.floor((seconds % size) / parts[i + 1][0]);
  return `${Math.floor(seconds / size)} ${unit}` + (rest ? ` ${rest} ${parts[i + 1][1]}` : "");
}
