// The steps of a purchase, from the order to the hand-over, as far as they are known.

import { coins, el, svg } from "./dom.js";
import { mood } from "./words.js";

const ORDER = ["Accepted", "ItemsGranted", "GilDebited", "Completed"];

// steps says what is done by whom: before, meanwhile and after.
function steps(p) {
  const things = `${p.quantity} × ${p.name || "the item"}`;
  return [
    { state: "Accepted", by: "Trading", todo: "Take the order", doing: "Sending the order …", done: "Order taken" },
    { state: "ItemsGranted", by: "Inventory", todo: `Set ${things} aside`, doing: `Setting ${things} aside …`, done: `${things} set aside`, undone: "put back" },
    { state: "GilDebited", by: "Identity", todo: ["Pay ", coins(p.total ?? 0)], doing: ["Paying ", coins(p.total ?? 0), " …"], done: [coins(p.total ?? 0), " paid"], undone: "given back" },
    { state: "Completed", by: "Inventory", todo: "Hand over", doing: "Handing over …", done: "Handed over" },
  ];
}

// failedAt is the number of the step at which a purchase failed.
function failedAt(p) {
  const last = ORDER.reduce((n, state, i) => (p.times[state] ? i : n), -1);
  const events = { "Fault.GrantItems": 1, "Fault.DebitGil": 2, "Fault.DeliverItems": 3 };
  for (const step of p.history || []) {
    const event = step.message.split(":")[0];
    if (events[event]) return events[event];
  }
  return p.phase === "refused" ? 0 : last < 0 ? 1 : last + 1;
}

function mark(kind) {
  const paths = { done: "M4 8.5l2.7 2.7L12 5.5", failed: "M5 5l6 6M11 5l-6 6", undone: "M5 6h4a2.5 2.5 0 0 1 0 5H6M5 6l2-2M5 6l2 2" };
  return svg("svg", { viewBox: "0 0 16 16", class: "mark", "aria-hidden": "true" },
    svg("circle", { cx: 8, cy: 8, r: 7 }), paths[kind] ? svg("path", { d: paths[kind] }) : null);
}

// passed is the time since the order was taken.
function passed(p, at) {
  if (!at || !p.received) return null;
  const ms = Math.max(Date.parse(at) - Date.parse(p.received), 0);
  const text = ms < 1000 ? `+${ms} ms` : ms < 60_000 ? `+${(ms / 1000).toFixed(1)} s` : `+${Math.round(ms / 60_000)} min`;
  return el("time", { datetime: at, title: new Date(at).toLocaleString() }, text);
}

const SAID = { done: "done", doing: "under way", failed: "failed", undone: "undone", todo: "to do" };

function line(kind, words, by, time, note = null) {
  return el("li", { class: kind, ...(kind === "doing" ? { "aria-current": "step" } : {}) }, mark(kind),
    el("div", { class: "words" }, el("p", {}, words, el("span", { class: "hidden" }, ` (${SAID[kind]})`)), note),
    el("p", { class: "by" }, by, time));
}

// timeline is a list of the steps. It does not change: make another one when the purchase has.
export function timeline(p) {
  const reached = p.state === "Completed" ? 4 : p.state === "Faulted" || p.phase === "refused" ? failedAt(p) : ORDER.indexOf(p.state) + 1;
  const failed = mood(p) === "bad";
  const back = (p.history || []).filter((s) => s.message.endsWith(": confirmed"));
  const confirmed = (state) => back.find((s) => s.message.startsWith({ ItemsGranted: "InventoryItemsSubtracted", GilDebited: "GilRefunded" }[state] + ":"));
  return el("ol", { class: "timeline" }, steps(p).map((s, i) => {
    if (i < reached) {
      const undone = failed && s.undone && confirmed(s.state);
      return line(undone ? "undone" : "done", undone ? [s.done, `, ${s.undone}`] : s.done, s.by, passed(p, (undone || {}).at || p.times[s.state]));
    }
    if (failed && i === reached) return line("failed", s.todo, s.by, passed(p, p.times.Faulted), el("p", { class: "why" }, p.reason.endsWith("called off") ? "No answer in time" : "Refused"));
    if (failed) return null;
    return i === reached && mood(p) === "busy" ? line("doing", s.doing, s.by, null) : line("todo", s.todo, s.by, null);
  }));
}

// record is what the saga wrote down, for those who want to know.
export function record(p) {
  if (!p.history?.length) return null;
  return el("details", { class: "record" }, el("summary", {}, "What the saga wrote down"),
    el("p", { class: "quiet" }, "Purchase ", el("code", {}, p.id)),
    el("ol", {}, p.history.map((s) => el("li", {}, el("code", {}, s.state), " ", s.message, " ", passed(p, s.at)))));
}
