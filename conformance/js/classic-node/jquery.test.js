// The common checks with signalr and jQuery in windows of jsdom. Forever frames need a real browser.

import { describe } from "node:test";

import { core, network } from "../classic-core/index.js";
import { check } from "../support/classic.js";

describe("jsdom", { concurrency: true }, () => {
  for (const transport of ["webSockets", "serverSentEvents", "longPolling", "auto"]) {
    describe(transport, { concurrency: 3 }, () => {
      for (const [subject, checks] of Object.entries(core)) {
        for (const [name, run] of Object.entries(checks)) {
          check(`${subject}: ${name}`, { transport }, run);
        }
      }
    });
  }

  // The requests and the event streams of jsdom do not tell of a connection that is lost: those are for the browser.
  describe("webSockets", { concurrency: true }, () => {
    for (const [name, run] of Object.entries(network)) {
      check(`network: ${name}`, { transport: "webSockets" }, run);
    }
  });
});
