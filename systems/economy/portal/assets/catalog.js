// The catalog, for administrators: what there is to buy.

import * as api from "./api.js";
import { coins, day, el, gil } from "./dom.js";
import { ask, field, open, submitting, toast } from "./dialog.js";

export const title = "Catalog";
export const admin = true;

const SAMPLES = [
  { name: "Potion", description: "Restores a small amount of HP.", price: 5 },
  { name: "Antidote", description: "Cures poison.", price: 7 },
  { name: "Hi-Potion", description: "Restores a medium amount of HP.", price: 15 },
  { name: "Bronze sword", description: "Deals a small amount of damage.", price: 20 },
  { name: "Phoenix feather", description: "Brings back who has fallen. There are only a few.", price: 60, stock: 3 },
];

export async function show(main, shell) {
  const body = el("div");
  const add = el("button", { type: "button", class: "primary", onclick: () => edit(null, load) }, "Add an item");
  main.replaceChildren(el("div", { class: "title" }, el("h1", {}, "Catalog"), add), body);
  const load = async () => {
    const items = await api.items();
    body.replaceChildren(items.length ? table(items, load) : empty(load, shell));
  };
  await load();
  return { load };
}

function empty(load, shell) {
  const button = el("button", { type: "button", onclick: async () => {
    button.disabled = true;
    await shell.attempt(async () => { for (const s of SAMPLES) await api.addItem(s); });
    await shell.attempt(load);
    button.disabled = false;
  } }, "Add some samples");
  return el("div", { class: "empty panel" }, el("h2", {}, "No items yet"), el("p", {}, "Add what players can buy, or begin with a few samples."), el("div", { class: "actions" }, button));
}

function table(items, load) {
  return el("table", {}, el("thead", {}, el("tr", {}, ["Item", "Price", "Stock", "Since"].map((h) => el("th", { scope: "col" }, h)), el("th", { scope: "col" }, el("span", { class: "hidden" }, "Actions")))),
    el("tbody", {}, items.map((i) => el("tr", {},
      el("th", { scope: "row" }, i.name, i.description ? el("p", { class: "quiet" }, i.description) : null),
      el("td", { "data-label": "Price" }, coins(i.price)), el("td", { "data-label": "Stock" }, i.stock === undefined ? "unlimited" : gil(i.stock)),
      el("td", { "data-label": "Since" }, day(i.createdDate)),
      el("td", { class: "verbs" },
        el("button", { type: "button", "aria-label": `Edit ${i.name}`, onclick: () => edit(i, load) }, "Edit"),
        el("button", { type: "button", "aria-label": `Delete ${i.name}`, onclick: () => remove(i, load) }, "Delete"))))));
}

function remove(item, load) {
  ask(`Delete ${item.name}?`, "It is not for sale any more. Players keep what they have of it.", "Delete", async () => {
    await api.removeItem(item.id);
    toast("good", `${item.name} is deleted.`);
    await load();
  });
}

// edit changes an item, or adds one.
function edit(item, load) {
  const wrong = el("p", { class: "wrong", role: "alert" });
  const button = el("button", { type: "submit", class: "primary" }, item ? "Save" : "Add");
  const form = el("form", {},
    field("Name", "name", { required: true, maxlength: 200, value: item?.name || "", autocomplete: "off" }),
    field("Description", "description", { rows: 2, maxlength: 4000, value: item?.description || "" }),
    field("Price in gil", "price", { type: "number", inputmode: "decimal", required: true, min: 0, max: 1000, step: "any", value: item?.price ?? "" }),
    field("Stock", "stock", { type: "number", inputmode: "numeric", min: 0, step: 1, value: item?.stock ?? "" }, "How many there are ever to sell. Empty: any number."),
    wrong, el("div", { class: "actions" }, el("button", { type: "button", onclick: () => d.close() }, "Cancel"), button));
  form.addEventListener("submit", submitting(button, wrong, async () => {
    const f = new FormData(form);
    const to = { name: f.get("name").trim(), description: f.get("description").trim(), price: Number(f.get("price")), stock: f.get("stock") === "" ? null : Number(f.get("stock")) };
    await (item ? api.changeItem(item.id, to) : api.addItem(to));
    d.close();
    toast("good", item ? `${to.name} is saved.` : `${to.name} is in the catalog.`);
    await load();
  }));
  const d = open(item ? `Edit ${item.name}` : "Add an item", form);
  form.elements.name.focus();
}
