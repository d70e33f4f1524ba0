// The classic client in Node: jQuery and its plug-in in a window of jsdom.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import * as signalR from "@microsoft/signalr";
import EventSource from "eventsource";
import { JSDOM, VirtualConsole } from "jsdom";

import { ClassicEnv } from "../classic-core/env.js";
import { Proxy } from "./proxy.js";
import { server } from "./server.js";
import { limit } from "./suite.js";

const require = createRequire(import.meta.url);
const scripts = ["jquery/dist/jquery.js", "signalr/jquery.signalR.js"].map((name) => readFileSync(require.resolve(name), "utf8"));

/** An empty window whose address is of that origin; settled() waits for what it fetches. */
export function openWindow(origin) {
  const dom = new JSDOM("<body></body>", { url: `${origin}/`, runScripts: "outside-only", pretendToBeVisual: true,
    virtualConsole: new VirtualConsole() }); // which nobody reads: every request that is cut would be told
  const { window } = dom;
  window.EventSource = EventSource;
  const fetching = new Set();
  window.fetch = (url, options) => {
    const answer = fetch(new URL(url, origin), options);
    fetching.add(answer);
    answer.catch(() => undefined).finally(() => fetching.delete(answer)); // the client does not look at what becomes of an abort
    return answer;
  };
  window.settled = () => Promise.allSettled(fetching);
  return window;
}

/** The network of a check: how to cut it, to refuse new connections, and to hold back what is on its way. */
export function network(proxy) {
  return {
    cut: () => proxy.cut(),
    refuse: (on) => (proxy.refusing = on),
    freeze: (on) => proxy.freeze(on),
  };
}

/** The client as a page has it, in a window of its own. */
export function jqueryKit(proxy) {
  const window = openWindow(proxy.base);
  for (const script of scripts) {
    window.eval(script);
  }
  return {
    $: window.$,
    hubConnection: (url, options) => window.$.hubConnection(url, options),
    connection: (url, qs) => window.$.connection(url, qs),
    core: signalR,
    fetch,
    load: async (url) => window.eval(await (await fetch(url)).text()),
    window,
    ...network(proxy),
    async close() {
      await window.settled();
      window.close();
    },
  };
}

/** A test that gets an environment of its own: a window, and a network that it may cut. */
export function check(name, way, run, makeKit = jqueryKit) {
  test(name, { timeout: limit }, async () => {
    const proxy = await Proxy.open(server.http);
    const kit = makeKit(proxy);
    const env = new ClassicEnv(kit, { base: proxy.base, server: server.http, ...way });
    try {
      await run(env);
    } finally {
      await env.dispose();
      await kit.close();
      await proxy.close();
    }
  });
}
