// The page that runs the common checks. The test calls runCheck, and gives the page its hands on the network: onNetwork.

import { ClassicEnv } from "../classic-core/env.js";
import { core, network } from "../classic-core/index.js";

const kit = {
  $: window.jQuery,
  hubConnection: (url, options) => window.jQuery.hubConnection(url, options),
  connection: (url, qs) => window.jQuery.connection(url, qs),
  core: window.signalR,
  fetch: window.fetch.bind(window),
  load: async (url) => (0, eval)(await (await window.fetch(url)).text()),
  cut: () => window.onNetwork("cut", true),
  refuse: (on) => window.onNetwork("refuse", on),
  freeze: (on) => window.onNetwork("freeze", on),
};

/** Runs one check and returns what went wrong, or null. */
window.runCheck = async (subject, name, way) => {
  const env = new ClassicEnv(kit, way);
  try {
    await { ...core, network }[subject][name](env);
    return null;
  } catch (error) {
    return error.stack ?? String(error);
  } finally {
    await env.dispose();
  }
};
