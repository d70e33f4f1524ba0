// The package signalr-client: WebSockets only, protocol 1.5, and a connection that it makes anew with its old token when it is lost.

import { createRequire } from "node:module";
import { describe, test } from "node:test";

import { Inbox, equal, unique, until, within } from "../core/check.js";
import { Proxy } from "../support/proxy.js";
import { server } from "../support/server.js";
import { limit } from "../support/suite.js";

const { client: Client } = createRequire(import.meta.url)("signalr-client");

describe("signalr-client", { concurrency: true }, () => {
  check("calls come back, and messages of the hub arrive", async ({ open, call }) => {
    const { client, heard, id } = await open();
    equal(await call(client, "Echo", "hi<>é"), "hi<>é");
    equal(await call(client, "Add", 1, 2), 3);
    equal((await call(client, "Caller")).Id, id);
    await call(client, "ToClient", id, "hello");
    equal(await heard.next(), [id, "hello"]);
  });

  check("errors come back as texts", async ({ open, call }) => {
    const { client } = await open();
    await call(client, "Throw").then(
      () => Promise.reject(new Error("Throw returned, want an error")),
      (error) => equal(error, "There was an error invoking Hub method 'refhub.Throw'."),
    );
    await call(client, "HubThrow", "hub boom").then(
      () => Promise.reject(new Error("HubThrow returned, want an error")),
      (error) => equal(error, "hub boom"),
    );
  });

  check("500 calls in a row keep their order", async ({ open, call }) => {
    const { client } = await open();
    const numbers = Array.from({ length: 500 }, (_, i) => i);
    equal(await Promise.all(numbers.map((i) => call(client, "Add", i, 1))), numbers.map((i) => i + 1));
  });

  check("query and headers go with every request", async ({ open, call }) => {
    const tag = unique("tag");
    const { client } = await open({ queryString: { tag, own: "own value" }, headers: { "X-Own": "own header" } });
    const caller = await call(client, "Caller");
    equal([caller.Query, caller.Header], ["own value", "own header"]);
    const list = await (await fetch(`${server.http}/classic-requests?tag=${tag}`)).json();
    equal(list.map(({ path }) => path), ["/classic/connect", "/classic/start"]); // it negotiates without its query
    equal(list.map(({ headers }) => headers["x-own"]), ["own header", "own header"]);
  });

  check("a token in a header makes the user, and without one a hub for users is refused", async ({ open, call, build }) => {
    const token = await (await fetch(`${server.http}/generateJwtToken`)).text();
    const { client } = await open({ hub: "AuthHub", headers: { Authorization: `Bearer ${token}` } });
    equal((await call(client, "Caller")).User, "testuser");
    const anonymous = build({ hub: "AuthHub" });
    const refused = new Promise((resolve) => (anonymous.client.serviceHandlers.onUnauthorized = ({ statusCode }) => resolve(statusCode)));
    anonymous.client.start();
    equal(await within(refused, "the refusal"), 401);
  });

  check("an end is a stop for the server, at once", async ({ open, events }) => {
    const { client, id } = await open();
    client.end();
    await until(async () => (await events(id)).includes("RefHub stopped"), "the stop", 3_000);
    equal(await events(id), ["RefHub connected", "RefHub stopped"]);
  });

  check("a connection that is made anew with its token is the old one", async ({ open, call, events, proxy }) => {
    const { client, id, heard, reconnected } = await open({ wait: 0.2 });
    const group = unique("group");
    await call(client, "Join", group);
    proxy.cut();
    await within(reconnected, "reconnected");
    equal((await call(client, "Caller")).Id, id);
    await call(client, "ToGroup", group, "still here");
    equal(await heard.next(), [group, "still here"]);
    equal(await events(id), ["RefHub connected"]);
  });
});

/** A test with a network of its own, and the means to open clients. */
function check(name, run) {
  test(name, { timeout: limit }, async () => {
    const proxy = await Proxy.open(server.http);
    const built = [];
    const build = (options) => {
      const session = buildClient(proxy.base, options);
      built.push(session);
      return session;
    };
    const open = async (options) => {
      const session = build(options);
      session.client.start();
      await within(session.connected, "start");
      session.id = (await call(session.client, "Caller")).Id;
      return session;
    };
    const events = async (id) => (await fetch(`${server.http}/classic-events?id=${id}`)).json();
    try {
      await run({ proxy, build, open, call, events });
    } finally {
      for (const { client } of built) {
        client.serviceHandlers.reconnecting = () => true; // gives up; it would try for ever
        client.end();
      }
      await proxy.close();
    }
  });
}

function buildClient(base, { hub = "RefHub", queryString, headers, wait = 10 } = {}) {
  const client = new Client(`${base}/classic`, [hub], wait, true);
  client.hubName = hub;
  const heard = new Inbox("a message");
  client.on(hub, "Msg", (...args) => heard.put(args));
  Object.assign(client.queryString, queryString);
  Object.assign(client.headers, headers);
  const session = { client, heard };
  session.connected = new Promise((resolve, reject) => {
    client.serviceHandlers.connected = resolve;
    client.serviceHandlers.onerror = client.serviceHandlers.connectFailed = client.serviceHandlers.bindingError = reject;
  });
  session.connected.catch(() => undefined);
  session.reconnected = new Promise((resolve) => (client.serviceHandlers.reconnected = resolve));
  client.serviceHandlers.connectionLost = client.serviceHandlers.disconnected = () => undefined;
  return session;
}

/** Calls a method of the client's hub: the result, or a rejection with the text of the error. */
function call(client, method, ...args) {
  const answer = new Promise((resolve, reject) =>
    client.call(client.hubName, method, ...args).done((error, result) => (error ? reject(error) : resolve(result)), 20_000),
  );
  return within(answer, method);
}
