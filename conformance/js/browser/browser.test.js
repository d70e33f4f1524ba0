// The common checks in headless Chromium. The page comes from another origin than the server, as most pages do.

import assert from "node:assert";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";

import { core } from "../core/index.js";
import { ways } from "../core/env.js";
import { servePages } from "../support/pages.js";
import { server } from "../support/server.js";
import { limit } from "../support/suite.js";

const program = process.env.CHROMIUM || "/usr/bin/chromium";
const polling = ways.filter(({ transport }) => transport === "LongPolling");

let pages;
let browser;

before(async () => {
  pages = await servePages();
  browser = await chromium.launch({
    executablePath: program,
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
    timeout: 30_000,
  });
});

after(async () => {
  await browser?.close();
  await pages?.close();
});

describe("Chromium", { concurrency: 3 }, () => {
  for (const [scheme, base] of Object.entries(server)) {
    for (const way of ways) {
      suite(`${scheme} ${way.transport} ${way.protocol}`, { base, ...way });
    }
  }
  for (const way of polling) {
    suite(`XMLHttpRequest ${way.transport} ${way.protocol}`, { base: server.http, ...way }, "?xhr");
  }

  describe("web worker", () => {
    for (const [scheme, base] of Object.entries(server)) {
      test(`a worker calls the hub over ${scheme}`, { timeout: limit }, async () => {
        const { page, close } = await open();
        try {
          assert.deepEqual(await page.evaluate((url) => window.runWorker(url), base), {
            message: "from a worker",
            transport: "WebSockets",
          });
        } finally {
          await close();
        }
      });
    }
  });
});

/** The checks of one way, one after the other in one page: a browser has few connections to a host. */
function suite(name, way, query = "") {
  describe(name, { concurrency: 1 }, () => {
    let opened;

    before(async () => {
      opened = await open(query);
    });

    after(async () => {
      await opened?.close();
      assert.deepEqual(opened?.errors, [], "errors that nobody on the page caught");
    });

    for (const [subject, checks] of Object.entries(core)) {
      for (const check of Object.keys(checks)) {
        test(`${subject}: ${check}`, { timeout: limit }, async () => {
          const trouble = await opened.page.evaluate((args) => window.runCheck(...args), [subject, check, way]);
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

/** A page in a context of its own, with its own cookies. */
async function open(query = "") {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(pages.url + query);
  await page.waitForFunction(() => window.runCheck !== undefined);
  return { page, errors, close: () => context.close() };
}
