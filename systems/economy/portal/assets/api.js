// Questions to the services. What goes wrong comes as a Problem, with a text for people.

import { config } from "./config.js";
import { token } from "./session.js";
import { sentence } from "./dom.js";

const PATIENCE = 15_000;

// Problem is an answer that is no success; status 0 is none at all.
export class Problem extends Error {
  constructor(status, text, errors = {}) {
    super(text);
    this.status = status;
    this.errors = errors; // by the name of a field
  }

  // again says that the same might work later.
  get again() { return this.status === 0 || this.status === 429 || this.status >= 500; }
}

const WORDS = {
  0: "The server cannot be reached.", 401: "The sign-in is not accepted any more.", 403: "That is for administrators.",
  429: "Too many requests: wait a little.", 502: "The service is away at the moment.", 503: "The service is away at the moment.",
};

async function once(url, method, body, fresh) {
  const headers = { Accept: "application/json", Authorization: "Bearer " + await token(fresh) };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(url, { method, headers, body: JSON.stringify(body), cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new Problem(0, WORDS[0]);
  }
}

async function ask(url, method = "GET", body = undefined) {
  let response = await once(url, method, body, false);
  if (response.status === 401) response = await once(url, method, body, true);
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  const errors = Array.isArray(answer?.errors) || !answer?.errors ? {} : answer.errors;
  const details = Object.values(errors).flat().map(sentence).join(" ");
  throw new Problem(response.status, details || sentence(answer?.detail) || WORDS[response.status] || sentence(answer?.title) || `The service answers ${response.status}.`, errors);
}

const id = encodeURIComponent;

export const store = () => ask(config.trading + "/store");
export const purchase = (itemId, quantity, idempotencyId) => ask(config.trading + "/purchase", "POST", { itemId, quantity, idempotencyId });
export const status = (purchase) => ask(`${config.trading}/purchase/status/${id(purchase)}`);
export const history = (purchase) => ask(`${config.trading}/purchase/${id(purchase)}/history`);

export const inventory = (user) => ask(`${config.inventory}/items?userId=${id(user)}`);
export const give = (userId, catalogItemId, quantity) => ask(config.inventory + "/items", "POST", { userId, catalogItemId, quantity });

export const items = () => ask(config.catalog + "/items");
export const addItem = (item) => ask(config.catalog + "/items", "POST", item);
export const changeItem = (item, to) => ask(`${config.catalog}/items/${id(item)}`, "PUT", to);
export const removeItem = (item) => ask(`${config.catalog}/items/${id(item)}`, "DELETE");

export const users = () => ask(config.identity + "/users");
export const changeUser = (user, to) => ask(`${config.identity}/users/${id(user)}`, "PUT", to);
export const removeUser = (user) => ask(`${config.identity}/users/${id(user)}`, "DELETE");
