// The common checks with signalr and jQuery in windows of jsdom. Forever frames need a real browser.

import { describe } from "node:test";

import { core } from "../classic-core/index.js";
import { check } from "../support/classic.js";

for (const transport of ["webSockets", "serverSentEvents", "longPolling", "auto"]) {
  describe(`jsdom ${transport}`, { concurrency: 4 }, () => {
    for (const [subject, checks] of Object.entries(core)) {
      for (const [name, run] of Object.entries(checks)) {
        check(`${subject}: ${name}`, { transport }, run);
      }
    }
  });
}
