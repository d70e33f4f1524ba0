// Holds that the SignalR client has one connection, however often it is started, with sockets that the test opens when it wants.
// usage: node hub.mjs CLIENT

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const sockets = [];
let next;
globalThis.location = new URL("http://server.test/");
globalThis.fetch = async () => Response.json({
  connectionId: "c", connectionToken: "t", availableTransports: [{ transport: "WebSockets", transferFormats: ["Text"] }],
});
globalThis.WebSocket = class {
  sent = [];
  state = "connecting";
  constructor() {
    sockets.push(this);
    next?.(this);
  }
  open() {
    if (this.state !== "connecting") return; // as a browser: one that was closed does not open any more
    this.state = "open";
    this.onopen();
    this.onmessage({ data: "{}\u001e" });
  }
  send(text) {
    if (this.state === "connecting") throw new Error("still connecting");
    this.sent.push(text);
  }
  close() { this.state = "closed"; }
};
const socket = () => new Promise((resolve) => { next = resolve; });

const { Hub } = await import(pathToFileURL(process.argv[2]));
const hub = new Hub("/hub");
let came = socket();
const first = hub.start().then(() => "started", (err) => err.message);
await came;
came = socket();
const second = hub.start();
assert.equal(sockets[0].state, "closed", "the socket of the first start once there is a second one");
await came;
sockets[0].open();
sockets[1].open();
await second;
assert.notEqual(await first, "started", "the first start, which was given up");
assert.equal(hub.state, "connected");
assert.equal(sockets.length, 2);
assert.equal(sockets[1].sent.length, 1, "handshakes on the socket that stays");
hub.stop();
assert.equal(sockets[1].state, "closed");
process.exit(0); // the client still has timers of its handshakes
