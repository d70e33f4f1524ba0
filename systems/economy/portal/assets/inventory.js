// What the player has.

import * as api from "./api.js";
import * as purchases from "./purchases.js";
import { day, el, gil } from "./dom.js";
import { link } from "./config.js";
import { user } from "./session.js";

export const title = "Inventory";

export async function show(main, shell) {
  const count = el("p", { class: "balance" });
  const list = el("div", { class: "things" });
  main.replaceChildren(el("div", { class: "title" }, el("h1", {}, "Inventory"), count), list);
  const load = async () => {
    const items = (await api.inventory(user().id)).filter((i) => i.quantity !== 0);
    count.textContent = items.length === 0 ? "" : items.length === 1 ? "1 kind of item" : `${items.length} kinds of items`;
    list.replaceChildren(...(items.length ? items.map(thing) : [el("div", { class: "empty panel" }, el("h2", {}, "Nothing yet"),
      el("p", {}, "What you buy in the ", el("a", { href: link("store"), "data-to": "store" }, "store"), " is here then."))]));
  };
  const off = purchases.onChange((p, before) => { if (p.phase === "ended" && before.phase !== "ended") shell.again(load); });
  await load();
  return { load, stop: off };
}

function thing(i) {
  return el("article", { class: "thing" }, el("p", { class: "many", "aria-label": i.quantity === 1 ? "1 piece" : `${i.quantity} pieces` }, gil(i.quantity)),
    el("div", {}, el("h2", {}, i.name || "An item of the past"), i.description ? el("p", { class: "quiet" }, i.description) : null),
    el("p", { class: "quiet since" }, "since ", el("time", { datetime: i.acquiredDate }, day(i.acquiredDate))));
}
