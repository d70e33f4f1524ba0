// Dialogs, and notes that pass.

import { $, el } from "./dom.js";

// open shows a dialog; the browser keeps the focus in it and gives it back. closed runs when it has been closed.
export function open(title, content, closed = () => {}) {
  const heading = el("h2", { id: "dialog-title", tabindex: "-1" }, title);
  const box = el("div", { class: "box" });
  const d = el("dialog", { "aria-labelledby": "dialog-title" },
    el("div", { class: "head" }, heading, el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => d.close() }, "×")), box);
  box.append(...[content].flat());
  d.addEventListener("close", () => {
    d.remove();
    closed();
  });
  let pressed = null; // a click that began inside, as when text is marked, does not close it
  d.addEventListener("pointerdown", (e) => { pressed = e.target; });
  d.addEventListener("click", (e) => { if (e.target === d && pressed === d) d.close(); });
  document.body.append(d);
  d.showModal();
  return { box, heading, close: () => d.close(), get open() { return d.open; } };
}

// ask asks whether something is to be done; act does it.
export function ask(title, text, verb, act) {
  const wrong = el("p", { class: "wrong", role: "alert" });
  const button = el("button", { type: "submit", class: "primary danger" }, verb);
  const form = el("form", { onsubmit: submitting(button, wrong, async () => { await act(); d.close(); }) },
    el("p", {}, text), wrong, el("div", { class: "actions" }, el("button", { type: "button", onclick: () => d.close() }, "Keep it"), button));
  const d = open(title, form);
}

// submitting is what a form does: act, with its button off meanwhile, and say what was wrong.
export function submitting(button, wrong, act) {
  return async (e) => {
    e.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    wrong.textContent = "";
    try {
      await act();
    } catch (err) {
      wrong.textContent = err.message;
    } finally {
      button.disabled = false;
    }
  };
}

// field is a labelled input.
export function field(label, name, attributes = {}, hint = "") {
  const id = "f-" + name;
  const input = attributes.rows ? el("textarea", { id, name, ...attributes }) : el("input", { id, name, ...attributes });
  if (attributes.rows && attributes.value) input.value = attributes.value;
  if (hint) input.setAttribute("aria-describedby", id + "-hint");
  return el("div", { class: "field" }, el("label", { for: id }, label), input, hint ? el("p", { class: "hint", id: id + "-hint" }, hint) : null);
}

// toast says something that passes, good or bad; act, if there is one, is { words, run }.
export function toast(kind, text, act = null) {
  const t = el("div", { class: "toast " + kind }, el("p", {}, text));
  const gone = () => t.remove();
  if (act) t.append(el("button", { type: "button", onclick: () => { gone(); act.run(); } }, act.words));
  t.append(el("button", { type: "button", class: "close", "aria-label": "Dismiss", onclick: gone }, "×"));
  $("toasts").append(t);
  while ($("toasts").children.length > 3) $("toasts").firstChild.remove();
  let timer = setTimeout(gone, 8000);
  t.addEventListener("pointerenter", () => clearTimeout(timer));
  t.addEventListener("pointerleave", () => { timer = setTimeout(gone, 4000); });
}
