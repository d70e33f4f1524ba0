// The common checks in headless Chromium, over every transport. Each suite has a page, a network and a browser context of its own.

import assert from "node:assert";
import { after, before, describe, test } from "node:test";

import { core, network } from "../classic-core/index.js";
import { launch, openPage } from "../support/chromium.js";
import { Proxy } from "../support/proxy.js";
import { server } from "../support/server.js";
import { limit } from "../support/suite.js";

// jQuery forgets the function of a script that it has given up, and cannot stop the script.
const late = /^Uncaught ReferenceError: jQuery\d+_\d+ is not defined$/;

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

describe("Chromium", { concurrency: 9 }, () => {
  // These checks mostly wait, one for the other in a page: so there are two pages of them.
  for (const transport of ["foreverFrame", "webSockets", "serverSentEvents", "longPolling"]) {
    const all = Object.entries(network);
    suite(`network ${transport} 1`, { transport }, { network: Object.fromEntries(all.slice(0, all.length / 2)) });
    suite(`network ${transport} 2`, { transport }, { network: Object.fromEntries(all.slice(all.length / 2)) });
  }
  for (const transport of ["webSockets", "serverSentEvents", "foreverFrame", "longPolling", "auto"]) {
    suite(transport, { transport }, core);
  }
  for (const transport of ["webSockets", "serverSentEvents", "longPolling"]) {
    suite(`other origin ${transport}`, { transport, elsewhere: true }, core);
  }
  suite("other origin JSONP", { transport: "longPolling", jsonp: true, elsewhere: true }, core);
});

/** The checks of one way, one after the other in one page: a browser has few connections to a host. */
function suite(name, { elsewhere, ...way }, subjects) {
  describe(name, { concurrency: 1 }, () => {
    let proxy;
    let opened;

    before(async () => {
      proxy = await Proxy.open(server.http);
      const origin = elsewhere ? proxy.base.replace("127.0.0.1", "localhost") : proxy.base;
      opened = await openPage(browser, origin, "classic-browser/page.html", way.transport);
      await opened.page.exposeFunction("onNetwork", (what, on) => {
        if (what === "refuse") {
          proxy.refusing = on;
        } else {
          proxy[what](on);
        }
      });
    });

    after(async () => {
      await opened?.close();
      await proxy?.close();
      assert.deepEqual(opened?.errors.filter((error) => !way.jsonp || !late.test(error)), []); // that nobody on the page caught
    });

    for (const [subject, checks] of Object.entries(subjects)) {
      for (const check of Object.keys(checks)) {
        test(`${subject}: ${check}`, { timeout: limit }, async () => {
          const args = [subject, check, { ...way, base: proxy.base, server: server.http }];
          const trouble = await opened.page.evaluate((all) => window.runCheck(...all), args);
          if (trouble !== null) {
            const error = new Error(trouble);
            error.stack = trouble;
            throw error;
          }
        });
      }
    }
  });
}
