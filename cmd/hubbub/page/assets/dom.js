// Helpers for building the page and asking the server. Text is always text: nothing from the server is read as HTML.

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

// call posts JSON text and returns the answer's. It fails with what the server says is wrong.
export async function call(url, body, token = "") {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = "Bearer " + token;
  const response = await fetch(url, { method: "POST", headers, body });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const details = (answer.errors || []).map((e) => e.message).join(" ");
  throw new Error(details || answer.detail || answer.title || `The server answers ${response.status}.`);
}

// sentence is the text of an error as a sentence for people.
export function sentence(text) {
  text = String(text).replace(/^An unexpected error occurred invoking '.*?' on the server\. HubException: /, "");
  return text ? text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".") : "";
}

// showState says in an element how the connection of a hub is.
export function showState(element, hub, state, reason) {
  const words = {
    connecting: "Connecting …",
    connected: `Live over ${hub.transport}`,
    reconnecting: "Connection lost, trying again …",
    closed: sentence(reason) || "Not connected.",
  };
  element.textContent = words[state];
  element.className = { connected: "good", reconnecting: "warn" }[state] || (reason ? "bad" : "quiet");
}
