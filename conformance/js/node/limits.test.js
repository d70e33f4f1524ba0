// Large messages, and those that are too large.

import { describe } from "node:test";

import { equal, rejects, within } from "../core/check.js";
import { ways } from "../core/env.js";
import { check } from "../support/suite.js";

const tooLarge =
  "Server returned an error on close: Connection closed with an error. InvalidDataException: " +
  "The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions.";

for (const way of ways) {
  describe(`limits ${way.transport} ${way.protocol}`, { concurrency: true }, () => {
    check("a message of 30,000 characters comes back whole", way, async (env) => {
      const connection = await env.connect();
      const text = "0123456789".repeat(3_000);
      equal(await connection.invoke("Echo", text), text);
    });

    check("results of 300,000 characters arrive whole, between small ones", way, async (env) => {
      const connection = await env.connect();
      const piece = "abcdefghij".repeat(2_000);
      const large = [1, 2, 3].map(() => {
        const upload = new env.kit.signalR.Subject();
        const result = connection.invoke("StreamingConcat", upload);
        for (let i = 0; i < 15; i++) {
          upload.next(piece);
        }
        upload.complete();
        return result;
      });
      const small = Array.from({ length: 50 }, (_, i) => connection.invoke("Echo", `small ${i}`));
      equal(await within(Promise.all(small), "small results", 30_000), small.map((_, i) => `small ${i}`));
      for (const result of await within(Promise.all(large), "large results", 30_000)) {
        equal(result.length, 300_000, "length");
        equal(result === piece.repeat(15), true, "the large result is what was sent");
      }
    });

    check("a message over 32 KiB ends its connection with the reason, and no other", way, async (env) => {
      const connection = await env.connect();
      const bystander = await env.connect();
      const closed = env.closed(connection);
      const call = connection.invoke("Echo", "x".repeat(33_000));
      const rejected = rejects(call, tooLarge, "the call's error");
      equal((await within(closed, "onclose"))?.message, tooLarge, "error of onclose");
      await rejected;
      equal(connection.state, "Disconnected", "state");
      equal(await bystander.invoke("Echo", "still here"), "still here");
    });

    check("an oversize message lets an automatic reconnect go on", way, async (env) => {
      const connection = await env.connect({ reconnect: [0] });
      const reconnected = new Promise((resolve) => connection.onreconnected(resolve));
      const call = connection.invoke("Echo", "x".repeat(33_000));
      const rejected = rejects(call, tooLarge, "the call's error");
      const id = await within(reconnected, "onreconnected");
      await rejected;
      equal(await connection.invoke("GetCallerConnectionId"), id);
    });
  });
}
