// The first page.

import { el } from "./dom.js";
import { link } from "./config.js";
import { signIn, user } from "./session.js";
import { timeline } from "./timeline.js";

export const title = "";

const example = {
  quantity: 2, name: "Potion", total: 10, phase: "open", state: "GilDebited", history: [],
  times: { Accepted: "2000-01-01T00:00:00.000Z", ItemsGranted: "2000-01-01T00:00:00.011Z", GilDebited: "2000-01-01T00:00:00.019Z" }, received: "2000-01-01T00:00:00.000Z",
};

const facts = [
  ["Only the buyer is told", "How a purchase ended reaches all tabs of the one who bought, and nobody else, on whatever server they are connected to."],
  ["Nothing is lost", "State, commands and messages are written together. A service may die at any step: the purchase goes on, or all of it is undone."],
  ["Paid once", "An order that is sent twice is one purchase. A connection that breaks in the middle changes nothing but what you see meanwhile."],
];

export function show(main, shell) {
  const who = user();
  const start = who ? el("a", { class: "button primary", href: link("store"), "data-to": "store" }, "Open the store")
    : el("button", { type: "button", class: "primary", onclick: () => shell.attempt(() => signIn("store")) }, "Sign in or register");
  main.replaceChildren(
    el("section", { class: "hero" },
      el("div", {},
        el("h1", {}, el("span", {}, "Buy a potion. "), el("span", {}, "Watch every step.")),
        el("p", { class: "lead" }, "A small game economy of four services that sells items for gil, and tells you live what becomes of your purchase."),
        el("p", { class: "actions start" }, start),
        who ? el("p", { class: "quiet" }, "Welcome back, ", el("strong", {}, who.name), ".")
          : el("p", { class: "quiet" }, "New players start with some gil to spend.")),
      el("figure", { class: "panel" }, timeline(example), el("figcaption", { class: "quiet" }, "A purchase as the store shows it: each step by the service that does it."))),
    el("section", { class: "facts" }, facts.map(([head, text]) => el("div", {}, el("h2", {}, head), el("p", {}, text)))));
}
