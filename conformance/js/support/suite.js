import { test } from "node:test";

import { Env } from "../core/env.js";
import { kit } from "./kit.js";
import { server } from "./server.js";

/** The longest that one test may take, in milliseconds. */
export const limit = 60_000;

/** A test that gets an environment of its own over that way, plain HTTP unless the way has another base. */
export function check(name, way, run) {
  test(name, { timeout: limit }, async () => {
    const env = new Env(kit, { base: server.http, ...way });
    try {
      await run(env);
    } finally {
      await env.dispose();
    }
  });
}
