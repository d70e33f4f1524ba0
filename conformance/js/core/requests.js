import { equal, matches, rejects } from "./check.js";

/** Headers, cookies, queries, redirects and refusals of the HTTP requests under a connection. */
export const requests = {
  async "cookies that negotiate set come back on the connection's request"(env) {
    const connection = await env.connect();
    equal(await connection.invoke("GetCookie", "testCookie"), "testValue");
    equal(await connection.invoke("GetCookie", "testCookie2"), "testValue2");
    equal(await connection.invoke("GetCookie", "expiredCookie"), null);
  },

  async "negotiate may redirect, and the query of the new address is kept"(env) {
    const numbers = [];
    for (let i = 0; i < 2; i++) {
      const connection = await env.connect({ path: `/redirect?baseUrl=${encodeURIComponent(env.base)}` });
      numbers.push(await connection.invoke("GetNumRedirects"));
      await connection.stop();
    }
    equal(numbers[0] >= 1, true, `first count ${numbers[0]} is at least 1`);
    equal(numbers[1] > numbers[0], true, `second count ${numbers[1]} is above ${numbers[0]}`);
  },

  async "a refused negotiate is told with its body"(env) {
    await rejects(
      env.build({ path: "/bad-negotiate" }).start(),
      "Failed to complete negotiation with the server: Error: Some response from server: Status code '400'",
    );
  },

  async "a path without a hub is told as such"(env) {
    await rejects(
      env.build({ path: "/no-hub-here" }).start(),
      /^Failed to complete negotiation with the server: Error: [^]*: Status code '404' Either this is not a SignalR endpoint or there is a proxy blocking the connection\.$/,
    );
  },

  async "an endpoint without WebSockets serves the rest"(env) {
    const connection = env.build({ path: "/testhub-nowebsockets" });
    if (env.transport === "WebSockets") {
      await rejects(
        connection.start(),
        "Unable to connect to the server with any of the available transports. " +
          "ServerSentEvents failed: Error: 'ServerSentEvents' is disabled by the client. " +
          "LongPolling failed: Error: 'LongPolling' is disabled by the client.",
      );
      return;
    }
    await connection.start();
    equal(await connection.invoke("GetActiveTransportName"), env.transport);
  },

  async "the best transport on offer is chosen"(env) {
    const { HttpTransportType } = env.kit.signalR;
    const all = HttpTransportType.WebSockets | HttpTransportType.ServerSentEvents | HttpTransportType.LongPolling;
    const first = await env.connect({ transport: all });
    equal(await first.invoke("GetActiveTransportName"), "WebSockets");
    const second = await env.connect({ transport: all, path: "/testhub-nowebsockets" });
    const next = env.protocol === "messagepack" ? "LongPolling" : "ServerSentEvents";
    equal(await second.invoke("GetActiveTransportName"), next);
  },

  async "a WebSocket needs no negotiate"(env) {
    const { HttpTransportType } = env.kit.signalR;
    const connection = await env.connect({ skipNegotiation: true, transport: HttpTransportType.WebSockets });
    equal(connection.connectionId ?? null, null, "connection id at the client");
    matches(await connection.invoke("GetCallerConnectionId"), /^[A-Za-z0-9_-]{22}$/, "connection id");
  },

  async "the query of the address reaches the method"(env) {
    const connection = await env.connect({ path: "/testhub?numRedirects=41&other=a%20b" });
    equal(await connection.invoke("GetNumRedirects"), 41);
  },
};
