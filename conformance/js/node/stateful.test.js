// Stateful reconnect: the network is cut again and again, and nothing is lost, doubled or reordered.

import { describe } from "node:test";

import { equal, until, within } from "../core/check.js";
import { Proxy } from "../support/proxy.js";
import { server } from "../support/server.js";
import { check } from "../support/suite.js";

const cuts = 20;
const pause = 120; // milliseconds between cuts at least: below ten reconnects a second

// The loads stay below the 100,000 bytes that either side may hold unacknowledged: both acknowledge once a second.

for (const protocol of ["json", "messagepack"]) {
  const way = { transport: "WebSockets", protocol };

  describe(`stateful reconnect ${protocol}`, { concurrency: true }, () => {
    check("messages both ways survive twenty cuts, once each and in order", way, behindProxy(async (env, proxy, connection) => {
      const events = watch(connection);
      const id = connection.connectionId;
      const mark = env.unique("m");
      const heard = env.inbox(connection, "Message", (text) => text.startsWith(mark));
      let sent = 0;
      const sending = (async () => {
        while (proxy.cuts < cuts) {
          await Promise.all(Array.from({ length: 5 }, () => connection.send("InvokeWithString", `${mark} ${sent++}`)));
          await rest(pause / 8);
        }
      })();
      for (let i = 0; i < cuts; i++) {
        await cutOnce(proxy, heard);
      }
      await within(sending, "the last send");
      await heard.atLeast(sent);
      equal(await connection.invoke("Echo", "the end"), "the end");
      equal(heard.all, Array.from({ length: sent }, (_, i) => `${mark} ${i}`), "messages");
      equal(events, [], "reconnect events");
      equal(connection.connectionId, id, "connection id");
      equal(await connection.invoke("GetCallerConnectionId"), id);
    }));

    check("sequences and their completions survive twenty cuts", way, behindProxy(async (env, proxy, connection) => {
      const events = watch(connection);
      const items = env.inbox(connection, "Item");
      let rounds = 0;
      const calling = (async () => {
        while (proxy.cuts < cuts) {
          await within(connection.invoke("SendSequence", 100), "SendSequence");
          rounds++;
          await rest(pause / 3);
        }
      })();
      for (let i = 0; i < cuts; i++) {
        await cutOnce(proxy, items);
      }
      await calling;
      equal(items.all, Array.from({ length: rounds * 100 }, (_, i) => i % 100), "items");
      equal(events, [], "reconnect events");
    }));

    check("an upload and a stream survive cuts", way, behindProxy(async (env, proxy, connection) => {
      const events = watch(connection);
      const cancelled = env.inbox(connection, "StreamCanceled");
      const stream = connection.stream("InfiniteStream").subscribe({ next() {}, complete() {}, error() {} });
      const upload = new env.kit.signalR.Subject();
      const result = connection.invoke("StreamingConcat", upload);
      let want = "";
      for (let i = 0; i < 10; i++) {
        for (let j = 0; j < 20; j++) {
          want += `${i}.${j},`;
          upload.next(`${i}.${j},`);
        }
        equal(await connection.invoke("Echo", `round ${i}`), `round ${i}`);
        proxy.cut();
        await rest();
      }
      upload.complete();
      equal(await within(result, "StreamingConcat"), want);
      stream.dispose();
      await cancelled.next();
      equal(cancelled.all.length, 1, "StreamCanceled");
      equal(events, [], "reconnect events");
    }));

    check("messages of others sent during a cut arrive after it", way, behindProxy(async (env, proxy, connection) => {
      const direct = env.over({ base: server.http });
      const other = await direct.connect({ path: "/testhub" });
      const mark = env.unique("m");
      const heard = env.inbox(connection, "Message", (text) => text.startsWith(mark));
      for (let round = 0; round < 5; round++) {
        proxy.cut();
        for (let i = 0; i < 10; i++) {
          await other.invoke("SendToAll", `${mark} ${round * 10 + i}`);
        }
        await heard.atLeast(round * 10 + 10);
        await rest();
      }
      equal(heard.all, Array.from({ length: 50 }, (_, i) => `${mark} ${i}`));
    }));

    check("a session that cannot come back becomes a new connection", way, behindProxy(async (env, proxy) => {
      const connection = await env.connect({ path: "/testhub-stateful", stateful: true, reconnect: [0, 100, 100, 1000] });
      const first = connection.connectionId;
      const reconnecting = new Promise((resolve) => connection.onreconnecting(resolve));
      const reconnected = new Promise((resolve) => connection.onreconnected(resolve));
      proxy.refusing = true;
      proxy.cut();
      await within(reconnecting, "onreconnecting");
      proxy.refusing = false;
      const second = await within(reconnected, "onreconnected");
      equal(second === first, false, "the new id is the old one");
      equal(await connection.invoke("GetCallerConnectionId"), second);

      proxy.cut();
      equal(await connection.invoke("GetCallerConnectionId"), second, "id after a cut of the new session");
    }));

    check("a stopped session is over for good", way, behindProxy(async (env, proxy, connection) => {
      const id = connection.connectionId;
      await connection.stop();
      await until(async () => {
        const answer = await (await env.fetch(`/clientresult/${id}`)).text();
        return answer === `Connection '${id}' does not exist.`;
      }, "the server forgets the session");
    }));
  });
}

/** Puts a proxy and a stateful connection through it at the test's disposal. */
function behindProxy(run) {
  return async (env) => {
    const proxy = await Proxy.open(server.http);
    try {
      env.base = proxy.base;
      await run(env, proxy, await env.connect({ path: "/testhub-stateful", stateful: true }));
      await env.dispose();
    } finally {
      await proxy.close();
    }
  };
}

/** Cuts the network after something new arrived, and rests. */
async function cutOnce(proxy, inbox) {
  const before = inbox.all.length;
  await until(() => inbox.all.length > before, "something arrives between two cuts");
  equal(proxy.cut() > 0, true, "there was a connection to cut");
  await rest();
}

function rest(ms = pause) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The reconnect and close events of a connection, of which a stateful reconnect raises none. */
function watch(connection) {
  const events = [];
  connection.onreconnecting((error) => events.push(`reconnecting: ${error}`));
  connection.onreconnected((id) => events.push(`reconnected: ${id}`));
  connection.onclose((error) => events.push(`closed: ${error}`));
  return events;
}
