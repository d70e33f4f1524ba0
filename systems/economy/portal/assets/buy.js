// The dialog in which something is bought, and in which a purchase is watched.

import * as purchases from "./purchases.js";
import { coins, el, gil } from "./dom.js";
import { open } from "./dialog.js";
import { record, timeline } from "./timeline.js";
import { mood, what, why } from "./words.js";

const MOST = 100; // of one purchase
const SLOW = 8000; // ms after which the wait is explained

// buy asks how many, and buys them.
export function buy(item, balance) {
  const most = Math.min(MOST, item.stock ?? MOST);
  const total = el("output", { for: "quantity", class: "total" });
  const after = el("p", { class: "after", id: "after" });
  const input = el("input", { id: "quantity", type: "number", inputmode: "numeric", min: 1, max: MOST, step: 1, value: 1, required: true, "aria-describedby": "after" });
  const button = el("button", { type: "submit", class: "primary" }, "Buy");
  const show = () => {
    const n = Number(input.value);
    less.disabled = !(n > 1);
    more.disabled = n >= most;
    const sum = item.price * n;
    total.replaceChildren(coins(Number.isInteger(n) && n > 0 ? sum : 0));
    after.classList.toggle("bad", sum > balance || n > most);
    after.textContent = n > most && item.stock !== undefined ? `Only ${item.stock} left.`
      : sum > balance ? `That is ${gil(sum - balance)} gil more than you have: it will be refused.`
        : `You have ${gil(balance)} gil, and ${gil(balance - sum)} afterwards.`;
  };
  const step = (by) => () => {
    input.value = Math.max(1, Math.min(most, (Number(input.value) || 0) + by));
    show();
  };
  const less = el("button", { type: "button", class: "step", "aria-label": "One less", onclick: step(-1) }, "−");
  const more = el("button", { type: "button", class: "step", "aria-label": "One more", onclick: step(1) }, "+");
  input.addEventListener("input", show);
  const form = el("form", { class: "buy" },
    item.description ? el("p", { class: "quiet" }, item.description) : null,
    el("div", { class: "row" }, el("label", { for: "quantity" }, "How many"), el("div", { class: "stepper" }, less, input, more)),
    el("div", { class: "row" }, el("span", {}, "Together"), total), after,
    el("div", { class: "actions" }, el("button", { type: "button", onclick: () => d.close() }, "Cancel"), button));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    const p = purchases.buy(item, Number(input.value));
    watch(p, d);
    purchases.run(p.id);
  });
  const d = open(`Buy ${item.name}`, form, () => stopped(d));
  show();
  input.focus();
  input.select();
}

const watched = new Map(); // dialog → function that ends its watch

function stopped(d) {
  watched.get(d)?.();
  watched.delete(d);
}

// isWatched reports whether a purchase is shown in a dialog now.
export const isWatched = (id) => [...watched.values()].some((stop) => stop.id === id);

// watch shows a purchase as it goes on, in the dialog d or in one of its own.
export function watch(p, d = null) {
  d = d || open(what(p), [], () => stopped(d));
  d.heading.textContent = what(p);
  const heading = el("p", { class: "outcome", role: "status" });
  const steps = el("div");
  const more = el("div");
  const actions = el("div", { class: "actions" });
  d.box.replaceChildren(heading, steps, more, actions);
  let shown = "";
  let slow = 0;
  const show = (now) => {
    if (now.id !== p.id) return;
    const open = more.querySelector("details")?.open;
    steps.replaceChildren(timeline(now));
    more.replaceChildren(...[record(now)].filter(Boolean));
    if (open) more.querySelector("details").open = true;
    headline(heading, now, Boolean(slow) && Date.now() - slow >= SLOW);
    if (shown === now.phase + now.state) return;
    shown = now.phase + now.state;
    buttons(actions, now, d);
  };
  const off = purchases.onChange(show);
  slow = Date.now();
  const timer = setTimeout(() => show(purchases.find(p.id) || p), SLOW);
  const stop = () => {
    off();
    clearTimeout(timer);
  };
  stop.id = p.id;
  watched.set(d, stop);
  show(purchases.find(p.id) || p);
  d.heading.focus();
  if (purchases.isOver(p) && p.state) purchases.learn(p.id);
}

function headline(e, p, slow) {
  const words = {
    good: () => [p.quantity === 1 ? "It is yours." : "They are yours.", ""],
    bad: () => ["Not bought. ", `${why(p.reason)} ${p.times.GilDebited ? "Your gil is given back." : "Nothing was charged."}`],
    unsure: () => (p.phase === "unsent" ? ["The order could not be sent. ", p.reason + " Sending it again is safe: it is bought once."]
      : ["No word yet. ", "The purchase ends by itself, bought or called off. Look again later."]),
    busy: () => (p.reason && p.phase === "sending" ? ["Still trying. ", p.reason]
      : slow ? ["This takes longer than usual. ", "A service may be away. You can close this: the purchase goes on, and you will be told."] : ["Under way …", ""]),
  }[mood(p)]();
  const kind = "outcome " + mood(p);
  if (e.className === kind && e.textContent === words.join("")) return; // said already
  e.className = kind;
  e.replaceChildren(el("strong", {}, words[0]), words[1]);
}

function buttons(actions, p, d) {
  const close = el("button", { type: "button", class: purchases.isOver(p) ? "primary" : "", onclick: () => d.close() }, purchases.isOver(p) ? "Done" : "Close");
  const again = { unsent: "Send again", silent: "Look again" }[p.phase];
  const had = actions.contains(document.activeElement);
  actions.replaceChildren(...(again ? [close, el("button", { type: "button", class: "primary", onclick: () => purchases.run(p.id, p.phase === "unsent") }, again)] : [close]));
  if (had) actions.lastChild.focus();
}
