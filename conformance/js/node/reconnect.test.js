// Automatic reconnect after a lost network, over every way.

import { describe } from "node:test";

import { Inbox, equal, rejects, until, within } from "../core/check.js";
import { ways } from "../core/env.js";
import { Proxy } from "../support/proxy.js";
import { server } from "../support/server.js";
import { check } from "../support/suite.js";

for (const way of ways) {
  describe(`reconnect ${way.transport} ${way.protocol}`, { concurrency: true }, () => {
    check("a cut network is reconnected under a new id", way, behindProxy(async (env, proxy) => {
      const connection = await env.connect({ reconnect: [0, 50, 200, 1000] });
      const events = eventsOf(connection);
      const [first, pending] = [connection.connectionId, hang(env, connection)];
      const rejected = rejects(pending, /./, "the pending call's error");
      await connection.invoke("Echo", "all is well");

      proxy.cut();
      equal((await events.next()).name, "reconnecting");
      equal(connection.state, "Reconnecting", "state");
      await rejected;

      const { name, value } = await events.next();
      equal(name, "reconnected");
      equal(value === first, false, "the new id is the old one");
      equal(await connection.invoke("GetCallerConnectionId"), value);
      equal(await connection.invoke("GetActiveTransportName"), env.transport);
      await connection.stop();
      equal(await events.next(), { name: "closed", value: undefined });
    }));

    check("the server forgets a cut connection and its groups", way, behindProxy(async (env, proxy) => {
      const connection = await env.connect({ reconnect: [0, 50, 200, 1000] });
      const events = eventsOf(connection);
      const [first, group, end] = [connection.connectionId, env.unique("group"), env.unique("end")];
      const heard = env.inbox(connection, "Message", (text) => text === group || text === end);
      await connection.invoke("AddToGroup", group);
      await connection.invoke("SendToGroup", group, group);
      equal(await heard.next(), group, "the group's message before the cut");

      proxy.cut();
      await events.next();
      equal((await events.next()).name, "reconnected");
      await connection.invoke("SendToGroup", group, group);
      await connection.invoke("SendToAll", end);
      equal(await heard.next(), end, "the first message after the cut");
      if (env.transport !== "LongPolling") {
        // A long-polling client that vanished is given up only after its time to poll again is over.
        await until(async () => {
          const answer = await (await env.fetch(`/clientresult/${first}`)).text();
          return answer === `Connection '${first}' does not exist.`;
        }, "the server forgets the first id");
      }
    }));

    check("a server out of reach ends the attempts", way, behindProxy(async (env, proxy) => {
      const connection = await env.connect({ reconnect: [0, 10, 10] });
      const events = eventsOf(connection);
      proxy.refusing = true;
      proxy.cut();
      equal((await events.next()).name, "reconnecting");
      equal(await events.next(), { name: "closed", value: undefined });
    }));

    check("without automatic reconnect a cut ends the connection", way, behindProxy(async (env, proxy) => {
      const connection = await env.connect();
      const closed = env.closed(connection);
      proxy.refusing = true;
      proxy.cut();
      await within(closed, "onclose");
      equal(connection.state, "Disconnected", "state");
    }));
  });
}

/** Puts a proxy between the environment and the server. */
function behindProxy(run) {
  return async (env) => {
    const proxy = await Proxy.open(server.http);
    try {
      env.base = proxy.base;
      await run(env, proxy);
      await env.dispose();
    } finally {
      await proxy.close();
    }
  };
}

function eventsOf(connection) {
  const events = new Inbox("a reconnect event");
  connection.onreconnecting((error) => events.put({ name: "reconnecting", value: error }));
  connection.onreconnected((id) => events.put({ name: "reconnected", value: id }));
  connection.onclose((error) => events.put({ name: "closed", value: error }));
  return events;
}

/** A call that the server does not complete by itself. */
function hang(env, connection) {
  return connection.invoke("StreamingConcat", new env.kit.signalR.Subject());
}
