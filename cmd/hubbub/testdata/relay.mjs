// A listener of the relay's event hub and of its push hub, with the real JavaScript clients of both generations of SignalR.
// usage: node relay.mjs ADDRESS TOKEN core|classic TRANSPORT
// Prints "subscribed" with the transport in use, then the arguments of every ReceiveEvent, and of every pullNowWeGotNews, as a line
// of JSON. A line on the standard input is an eventguid and a cookie in a list: it is subscribed, or ended, and answered with
// "ok" or with the error. Ends with the standard input.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../../conformance/js/", import.meta.url));
const [address, token, generation, transport] = process.argv.slice(2);
const say = (...args) => console.log(JSON.stringify(args));

// both return how to call SubscribeToEvent, the transport in use, and how to stop.
const connect = {
  async core() {
    const signalR = require("@microsoft/signalr");
    const options = {
      accessTokenFactory: () => token,
      transport: { webSockets: 1, serverSentEvents: 2, longPolling: 4 }[transport],
    };
    const build = path => new signalR.HubConnectionBuilder().withUrl(address + path, options).configureLogging("none").build();
    const events = build("/realtimehub");
    events.on("ReceiveEvent", say);
    const push = build("/ClientPushHub");
    push.on("pullNowWeGotNews", say);
    await events.start();
    await push.start();
    return [(...args) => events.invoke("SubscribeToEvent", ...args), transport, () => Promise.all([events.stop(), push.stop()])];
  },
  async classic() {
    const { JSDOM } = require("jsdom");
    const { window } = new JSDOM("<body></body>", { url: address, runScripts: "outside-only", pretendToBeVisual: true });
    window.EventSource = require("eventsource");
    for (const script of ["jquery/dist/jquery.js", "signalr/jquery.signalR.js"]) window.eval(readFileSync(require.resolve(script), "utf8"));
    const connection = window.$.hubConnection(address + "/realtime/signalr", { useDefaultPath: false, qs: { access_token: token } });
    const events = connection.createHubProxy("EventHub");
    events.on("ReceiveEvent", say);
    connection.createHubProxy("clientPushHub").on("pullNowWeGotNews", say);
    await connection.start({ transport: [transport] });
    return [(...args) => events.invoke("SubscribeToEvent", ...args), connection.transport.name, () => {
      connection.stop();
      window.close();
    }];
  },
};

const [subscribe, used, stop] = await connect[generation]();
console.log("subscribed", used);
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await subscribe(...JSON.parse(line));
    console.log("ok");
  } catch (e) {
    console.log("error", e.message);
  }
}
await stop();
