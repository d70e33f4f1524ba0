// Helpers for building the page. Text is always text: nothing from the services is read as HTML.

export const $ = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

// el makes an element: el("p", { class: "quiet", onclick: f, hidden: false }, "text", child, null, …).
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// svg makes an element of a drawing.
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(e, attributes, children) {
  for (const [k, v] of Object.entries(attributes)) {
    if (typeof v === "function") e.addEventListener(k.slice(2), v);
    else if (v === true) e.setAttribute(k, "");
    else if (v !== false && v !== null && v !== undefined) e.setAttribute(k, v);
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

// uuid is a random id. crypto.randomUUID is not there on pages that came over plain HTTP from another machine.
export function uuid() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

// sentence is a text as a sentence for people.
export function sentence(text) {
  text = String(text || "").trim();
  return text ? text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".") : "";
}

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });

// gil is an amount as people read it.
export function gil(amount) { return number.format(amount); }

// coins is an amount with the name of the currency.
export function coins(amount) { return el("span", { class: "gil" }, gil(amount), el("span", { class: "unit" }, " gil")); }

export function day(date) { return new Date(date).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" }); }

export function clock(date) { return new Date(date).toLocaleTimeString("en", { hour12: false }); }

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
