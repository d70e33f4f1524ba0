// Who is signed in: authorization code with PKCE, renewal, sign-out.
//
// Tokens are kept in memory. Only while the page is away, during a reload or a visit at the issuer, they lie in the storage of the tab;
// so a copy of the tab does not get them, which would end the sign-in of both: a refresh token is good once.

import { config, link, here } from "./config.js";
import { sha256 } from "./sha256.js";

const KEPT = "economy.session";
const BEGUN = "economy.signin.";
const EARLY = 60_000; // ms before its end at which an access token is renewed, or in the last fifth of its time
const AGAIN = 5000; // ms after which a renewal is tried again that nobody answered

let tokens = null; // { access, refresh, id, due }; due is when they are renewed
let renewal = null; // the one that is under way
let timer = 0; // of the next one
const listeners = new Set();

// Ended is the error of who is not signed in, or not any more.
export class Ended extends Error {
  constructor() { super("You are not signed in."); }
}

// onChange calls f when somebody has been signed out, or the sign-in has ended by itself.
export function onChange(f) { listeners.add(f); }

// user is who is signed in, { id, name, admin }, or null.
export function user() {
  if (!tokens) return null;
  const c = { ...claims(tokens.id), ...claims(tokens.access) };
  return { id: String(c.sub).toLowerCase(), name: c.name || c.preferred_username || "Player", admin: [].concat(c.role || []).includes("Admin") };
}

// current is the access token as it is, for the hub.
export const current = () => (tokens ? tokens.access : "");

// token is an access token that is good for a while. fresh wants another one than a service has just refused.
export async function token(fresh = false) {
  if (!tokens) throw new Ended();
  if (fresh || Date.now() > tokens.due) await renewed();
  if (!tokens) throw new Ended();
  return tokens.access;
}

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const secret = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

// claims of a token, none of one that is no JWT. Nobody here trusts them: the services check tokens, and this page has them from the issuer
// itself.
function claims(token) {
  try {
    const part = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (c) => c.charCodeAt(0))));
  } catch {
    return {};
  }
}

let found = null;

// issuer is what the OpenID provider says about itself.
function issuer() {
  found = found || fetch(config.issuer + "/.well-known/openid-configuration").then(async (response) => {
    if (!response.ok) throw new Error(`The identity service answers ${response.status}.`);
    return response.json();
  }).catch((err) => {
    found = null;
    throw err instanceof TypeError ? new Error("The identity service cannot be reached.") : err;
  });
  return found;
}

// signIn leaves the page for the issuer, which leads back to a page of the portal.
export async function signIn(page = here()) {
  const { authorization_endpoint: address } = await issuer();
  const verifier = secret(), state = secret(), nonce = secret();
  sessionStorage.setItem(BEGUN + state, JSON.stringify({ verifier, nonce, page, at: Date.now() }));
  const url = new URL(address);
  url.search = new URLSearchParams({
    client_id: config.client, response_type: "code", redirect_uri: link("authentication/login-callback"), scope: config.scope, state, nonce,
    code_challenge: base64url(sha256(verifier)), code_challenge_method: "S256",
  });
  location.assign(url);
}

// signedIn ends a sign-in with what the issuer has put into the address. It returns the page that was asked for.
export async function signedIn() {
  const answer = new URLSearchParams(location.search);
  const state = answer.get("state") || "";
  const begun = JSON.parse(sessionStorage.getItem(BEGUN + state) || "null");
  for (const key of Object.keys(sessionStorage).filter((k) => k.startsWith(BEGUN))) sessionStorage.removeItem(key);
  if (!begun) throw new Error("This sign-in was not begun in this tab, or it has been used.");
  if (answer.get("error")) throw new Error(answer.get("error_description") || answer.get("error"));
  await exchange({ grant_type: "authorization_code", code: answer.get("code") || "", redirect_uri: link("authentication/login-callback"), code_verifier: begun.verifier });
  if (claims(tokens.id).nonce !== begun.nonce) {
    tokens = null;
    throw new Error("The answer of the identity service is not the one to this sign-in.");
  }
  return begun.page;
}

// exchange gets tokens. It throws Ended if the grant is not good, and another error if nothing is known about it.
async function exchange(grant) {
  const { token_endpoint: address } = await issuer();
  const response = await fetch(address, {
    method: "POST", body: new URLSearchParams({ client_id: config.client, ...grant }), signal: AbortSignal.timeout(15_000),
  });
  const answer = await response.json().catch(() => ({}));
  if (response.status === 400 || response.status === 401) throw grant.code ? new Error(answer.error_description || "The sign-in has expired.") : new Ended();
  if (!response.ok) throw new Error(`The identity service answers ${response.status}.`);
  const { id = "" } = tokens || {};
  const life = answer.expires_in * 1000;
  tokens = { access: answer.access_token, refresh: answer.refresh_token, id: answer.id_token || id, due: Date.now() + life - Math.min(EARLY, life / 5) };
  schedule();
}

// schedule renews tokens in time, so that the hub has a good one whenever it connects again.
function schedule(wait = 0) {
  clearTimeout(timer);
  if (tokens?.refresh) timer = setTimeout(() => renewed().catch(() => schedule(AGAIN)), Math.min(Math.max(tokens.due - Date.now(), wait), 2 ** 31 - 1));
}

// renewed renews the tokens, once for all who wait for it.
function renewed() {
  renewal = renewal || renew().finally(() => { renewal = null; });
  return renewal;
}

async function renew() {
  const { refresh } = tokens;
  try {
    if (!refresh) throw new Ended();
    await exchange({ grant_type: "refresh_token", refresh_token: refresh });
  } catch (err) {
    if (err instanceof Ended) drop();
    throw err;
  }
}

function drop() {
  tokens = null;
  for (const f of listeners) f();
}

const others = new BroadcastChannel("economy.session");
others.onmessage = () => { if (tokens) drop(); };

// signOut ends the sign-in here, in the other tabs and at the issuer, which leads back.
export async function signOut() {
  const { refresh, id } = tokens || {};
  const { revocation_endpoint: revoke, end_session_endpoint: end } = await issuer();
  tokens = null;
  others.postMessage("signed out");
  if (revoke && refresh) {
    await fetch(revoke, { method: "POST", body: new URLSearchParams({ client_id: config.client, token: refresh, token_type_hint: "refresh_token" }) }).catch(() => {});
  }
  if (!end) {
    location.assign(link("authentication/logout-callback"));
    return;
  }
  const url = new URL(end);
  url.search = new URLSearchParams({ client_id: config.client, post_logout_redirect_uri: link("authentication/logout-callback"), ...(id ? { id_token_hint: id } : {}) });
  location.assign(url);
}

// restore takes back what was kept while the page was away.
function restore() {
  const kept = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  if (kept && !tokens) tokens = JSON.parse(kept);
  schedule();
}

restore();
addEventListener("pagehide", () => { if (tokens) sessionStorage.setItem(KEPT, JSON.stringify(tokens)); });
addEventListener("pageshow", restore);
