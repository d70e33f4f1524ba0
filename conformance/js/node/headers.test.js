// What a hub method sees of the HTTP request of its connection, when the client is Node and may set every header.

import { describe } from "node:test";

import { equal, matches } from "../core/check.js";
import { ways } from "../core/env.js";
import { check } from "../support/suite.js";

for (const way of ways) {
  describe(`headers ${way.transport} ${way.protocol}`, { concurrency: true }, () => {
    check("headers of the application reach the method, in any case", way, async (env) => {
      const connection = await env.connect({ headers: { "X-Own-Header": "own value", "X-EMPTY-NOT": "1" } });
      equal(await connection.invoke("GetHeader", "X-Own-Header"), "own value");
      equal(await connection.invoke("GetHeader", "x-own-header"), "own value");
      equal(await connection.invoke("GetHeader", "x-empty-not"), "1");
      equal(await connection.invoke("GetHeader", "X-Not-There"), null);
    });

    check("a header of the application wins over the library's", way, async (env) => {
      const connection = await env.connect({ headers: { "User-Agent": "Own Agent/1.0" } });
      equal(await connection.invoke("GetHeader", "User-Agent"), "Own Agent/1.0");
    });

    check("the library names itself", way, async (env) => {
      const connection = await env.connect();
      matches(await connection.invoke("GetHeader", "User-Agent"), /^Microsoft SignalR\/10\.0 \(10\.0\.11; /);
    });

    check("a request without a body has no content type", way, async (env) => {
      const connection = await env.connect();
      equal(await connection.invoke("GetContentTypeHeader"), null);
    });

    check("a content type of the application reaches the method", way, async (env) => {
      const connection = await env.connect({ headers: { "Content-Type": "text/own" } });
      equal(await connection.invoke("GetContentTypeHeader"), "text/own");
    });
  });
}
