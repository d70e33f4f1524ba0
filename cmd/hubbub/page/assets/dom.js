// Two helpers for building the page. Text is always text: nothing from the server is read as HTML.

export const $ = (id) => document.getElementById(id);

// el makes an element: el("p", { class: "quiet" }, "text", child, …).
export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) {
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else e.setAttribute(k, v);
  }
  e.append(...children);
  return e;
}
