// The common checks with signalr-no-jquery, a copy of the client that brings its own requests: it takes the window that is there
// when it is loaded.

import { createRequire } from "node:module";
import { after, describe } from "node:test";

import { core } from "../classic-core/index.js";
import { check, network, openWindow } from "../support/classic.js";
import { server } from "../support/server.js";

const window = openWindow(server.http);
globalThis.window = window;
globalThis.document = window.document;
const { hubConnection } = createRequire(import.meta.url)("signalr-no-jquery");
const { page, ...subjects } = core; // page needs jQuery

after(() => window.close());

describe("signalr-no-jquery", { concurrency: true }, () => {
  for (const transport of ["webSockets", "serverSentEvents", "longPolling"]) {
    describe(transport, { concurrency: 2 }, () => {
      for (const [subject, checks] of Object.entries(subjects)) {
        for (const [name, run] of Object.entries(checks)) {
          check(`${subject}: ${name}`, { transport }, run, kit);
        }
      }
    });
  }
});

function kit(proxy) {
  return {
    hubConnection: (url, options) => hubConnection(url, options),
    fetch,
    ...network(proxy),
    close: () => window.settled(),
  };
}
