// Connections on which nothing happens: who keeps them alive, and who gives up whom. These tests take their time.

import { describe } from "node:test";

import { equal, within } from "../core/check.js";
import { ways } from "../core/env.js";
import { check } from "../support/suite.js";

const unreachable = 600_000;

describe("idle connections", { concurrency: true }, () => {
  for (const way of ways) {
    check(`the server keeps ${way.transport} with ${way.protocol} alive`, way, async (env) => {
      const connection = env.build();
      connection.serverTimeoutInMilliseconds = 20_000; // a ping is due every 15 seconds, and two within this test
      const closed = env.closed(connection);
      await connection.start();
      const early = await Promise.race([closed.then((error) => ({ error })), new Promise((resolve) => setTimeout(resolve, 36_500))]);
      equal(early, undefined, "an early close");
      equal(await connection.invoke("Echo", "still here"), "still here");
    });
  }

  for (const way of ways.filter(({ transport }) => transport !== "LongPolling")) {
    check(`the server gives up a silent client of ${way.transport} with ${way.protocol}`, way, async (env) => {
      const connection = env.build();
      connection.keepAliveIntervalInMilliseconds = unreachable; // the first ping after the handshake stays the only one
      connection.serverTimeoutInMilliseconds = unreachable;
      const closed = env.closed(connection);
      await connection.start();
      const error = await within(closed, "onclose", 45_000);
      equal(
        error?.message,
        "Server returned an error on close: Connection closed with an error. OperationCanceledException: " +
          "Client hasn't sent a message/ping within the configured ClientTimeoutInterval.",
      );
    });
  }
});
