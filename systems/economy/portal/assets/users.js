// The players and their gil, for administrators.

import * as api from "./api.js";
import { coins, day, el, gil } from "./dom.js";
import { ask, field, open, submitting, toast } from "./dialog.js";
import { user } from "./session.js";

export const title = "Users";
export const admin = true;

export async function show(main) {
  const count = el("p", { class: "balance" });
  const body = el("div");
  main.replaceChildren(el("div", { class: "title" }, el("h1", {}, "Users"), count), body);
  const load = async () => {
    const all = await api.users();
    count.textContent = all.length === 1 ? "1 account" : `${gil(all.length)} accounts`;
    body.replaceChildren(table(all, load));
  };
  await load();
  return { load };
}

function table(all, load) {
  return el("table", {}, el("thead", {}, el("tr", {}, ["Player", "Gil", "Since"].map((h) => el("th", { scope: "col" }, h)), el("th", { scope: "col" }, el("span", { class: "hidden" }, "Actions")))),
    el("tbody", {}, all.map((u) => el("tr", {},
      el("th", { scope: "row" }, u.userName || u.email, u.id === user().id ? el("span", { class: "tag" }, "you") : null, u.userName !== u.email ? el("p", { class: "quiet" }, u.email) : null),
      el("td", {}, coins(u.gil)), el("td", { "data-label": "Since" }, day(u.createdOn || u.createdDate)),
      el("td", { class: "verbs" }, verb("Edit", u, () => edit(u, load)), verb("Give", u, () => give(u)),
        u.id === user().id ? null : verb("Delete", u, () => remove(u, load)))))));
}

const verb = (word, u, act) => el("button", { type: "button", "aria-label": `${word} ${u.userName || u.email}`, onclick: act }, word);

function remove(u, load) {
  ask(`Delete ${u.userName || u.email}?`, "The account and its gil are gone for good.", "Delete", async () => {
    await api.removeUser(u.id);
    toast("good", `${u.userName || u.email} is deleted.`);
    await load();
  });
}

function edit(u, load) {
  const wrong = el("p", { class: "wrong", role: "alert" });
  const button = el("button", { type: "submit", class: "primary" }, "Save");
  const form = el("form", {},
    field("E-mail", "email", { type: "email", required: true, maxlength: 254, value: u.email, autocomplete: "off" }),
    field("Gil", "gil", { type: "number", inputmode: "decimal", required: true, min: 0, max: 1_000_000, step: "any", value: u.gil }),
    wrong, el("div", { class: "actions" }, el("button", { type: "button", onclick: () => d.close() }, "Cancel"), button));
  form.addEventListener("submit", submitting(button, wrong, async () => {
    const f = new FormData(form);
    await api.changeUser(u.id, { email: f.get("email").trim(), gil: Number(f.get("gil")) });
    d.close();
    toast("good", `${u.userName || u.email} is saved.`);
    await load();
  }));
  const d = open(`Edit ${u.userName || u.email}`, form);
}

// give gives a player items without payment.
async function give(u) {
  const wrong = el("p", { class: "wrong", role: "alert" });
  const button = el("button", { type: "submit", class: "primary", disabled: true }, "Give");
  const select = el("select", { id: "f-item", name: "item", required: true });
  const has = el("p", { class: "quiet" });
  const form = el("form", {}, has, el("div", { class: "field" }, el("label", { for: "f-item" }, "Item"), select),
    field("How many", "quantity", { type: "number", inputmode: "numeric", required: true, min: 1, max: 1_000_000, step: 1, value: 1 }),
    wrong, el("div", { class: "actions" }, el("button", { type: "button", onclick: () => d.close() }, "Cancel"), button));
  form.addEventListener("submit", submitting(button, wrong, async () => {
    const n = Number(form.elements.quantity.value);
    await api.give(u.id, select.value, n);
    d.close();
    toast("good", `${u.userName || u.email} has ${gil(n)} × ${select.selectedOptions[0].textContent} more.`);
  }));
  const d = open(`Give to ${u.userName || u.email}`, form);
  try {
    const [items, theirs] = await Promise.all([api.items(), api.inventory(u.id)]);
    select.replaceChildren(...items.map((i) => el("option", { value: i.id }, i.name)));
    button.disabled = items.length === 0;
    if (items.length === 0) wrong.textContent = "The catalog has no items.";
    has.textContent = theirs.length ? "Has " + theirs.map((i) => `${i.quantity} × ${i.name || "an item of the past"}`).join(", ") + "." : "Has nothing yet.";
  } catch (err) {
    wrong.textContent = err.message;
  }
}
