// The store: what is for sale, and what becomes of purchases.

import * as api from "./api.js";
import * as purchases from "./purchases.js";
import { clock, coins, day, el, gil } from "./dom.js";
import { link } from "./config.js";
import { user } from "./session.js";
import { buy, watch } from "./buy.js";
import { mood, outcome, what } from "./words.js";

export const title = "Store";

export async function show(main, shell) {
  const shelf = el("div", { class: "shelf" });
  const list = el("ul", { class: "purchases" });
  const past = el("section", { "aria-labelledby": "past", hidden: true }, el("h2", { id: "past" }, "Your purchases"), list);
  main.replaceChildren(el("div", { class: "title" }, el("h1", {}, "Store")), shelf, past);
  const cards = new Map();
  let now = null;

  const load = async () => {
    now = await api.store();
    shell.balance(now.userGil);
    const there = new Set(now.items.map((i) => i.id));
    for (const [id, card] of cards) if (!there.has(id)) { card.root.remove(); cards.delete(id); }
    shelf.querySelector(".empty")?.remove();
    if (now.items.length === 0) shelf.append(empty());
    for (const [i, item] of now.items.entries()) {
      if (!cards.has(item.id)) cards.set(item.id, makeCard(() => buy(cards.get(item.id).item, now.userGil)));
      cards.get(item.id).update(item);
      const { root } = cards.get(item.id);
      if (shelf.children[i] !== root) shelf.insertBefore(root, shelf.children[i] || null); // what is moved loses the focus
    }
  };
  const remember = () => {
    const all = purchases.list();
    past.hidden = all.length === 0;
    list.replaceChildren(...all.slice(0, 8).map(row));
  };
  const off = purchases.onChange((p, before) => {
    remember();
    if (p.phase === "ended" && before.phase !== "ended") shell.again(load);
  });
  remember();
  await load();
  return { load, stop: off };
}

function empty() {
  return el("div", { class: "empty panel" }, el("h2", {}, "The shelves are empty"),
    user().admin ? el("p", {}, "Add items in the ", el("a", { href: link("catalog"), "data-to": "catalog" }, "catalog"), ".")
      : el("p", {}, "The administrator adds items in the catalog. Its account was printed when the server started for the first time."));
}

function makeCard(onbuy) {
  const name = el("h2");
  const description = el("p", { class: "quiet" });
  const notes = el("p", { class: "notes" });
  const price = el("p", { class: "price" });
  const button = el("button", { type: "button", class: "primary", onclick: onbuy }, "Buy");
  const card = { item: null, root: el("article", { class: "card" }, el("div", { class: "text" }, name, description), notes, el("div", { class: "till" }, price, button)) };
  card.update = (item) => {
    card.item = item;
    name.textContent = item.name;
    description.textContent = item.description;
    price.replaceChildren(coins(item.price));
    const out = item.stock === 0;
    button.disabled = out;
    button.textContent = out ? "Sold out" : "Buy";
    button.setAttribute("aria-label", out ? `${item.name} is sold out` : `Buy ${item.name} for ${gil(item.price)} gil`);
    notes.replaceChildren(...[
      item.ownedQuantity > 0 ? el("span", {}, `You own ${gil(item.ownedQuantity)}`) : null,
      item.stock !== undefined && !out ? el("span", { class: item.stock < 5 ? "few" : "" }, `${gil(item.stock)} left`) : null,
    ].filter(Boolean));
  };
  return card;
}

function row(p) {
  const when = Date.now() - p.began < 20 * 3600_000 ? clock(p.began) : day(p.began);
  return el("li", {}, el("button", { type: "button", class: "purchase", onclick: () => watch(p) },
    el("span", { class: "dot " + mood(p), "aria-hidden": "true" }), el("span", { class: "what" }, what(p)),
    el("span", { class: "cost" }, p.total === null ? "" : coins(p.total)), el("span", { class: "end " + mood(p) }, outcome(p)), el("time", { class: "quiet" }, when)));
}
