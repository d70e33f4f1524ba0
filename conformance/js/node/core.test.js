// The checks that Node and browsers have in common, over HTTPS and HTTP.

import { describe } from "node:test";

import { ways } from "../core/env.js";
import { core } from "../core/index.js";
import { server } from "../support/server.js";
import { check } from "../support/suite.js";

for (const [scheme, base] of Object.entries(server)) {
  for (const way of ways) {
    describe(`${scheme} ${way.transport} ${way.protocol}`, { concurrency: 8 }, () => {
      for (const [subject, checks] of Object.entries(core)) {
        for (const [name, run] of Object.entries(checks)) {
          check(`${subject}: ${name}`, { base, ...way }, run);
        }
      }
    });
  }
}
