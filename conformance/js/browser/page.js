// The page that runs the common checks with the browser builds of the client. The test calls runCheck.

import { Env } from "/core/env.js";
import { core } from "/core/index.js";

const kit = {
  signalR: window.signalR,
  msgpack: window.signalR.protocols.msgpack,
  fetch: window.fetch.bind(window),
  inBrowser: true,
};

if (location.search === "?xhr") {
  // Without fetch the client falls back to XMLHttpRequest, as in old browsers.
  window.fetch = undefined;
}

/** Runs one check and returns what went wrong, or null. */
window.runCheck = async (subject, name, way) => {
  const env = new Env(kit, way);
  try {
    await core[subject][name](env);
    return null;
  } catch (error) {
    return error.stack ?? String(error);
  } finally {
    await env.dispose();
  }
};

/** Lets a web worker call the hub and returns what came back. */
window.runWorker = (base) =>
  new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js");
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(base);
  });
