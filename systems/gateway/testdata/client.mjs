// The real JavaScript client of SignalR, driven by lines of JSON on the standard input, with which it ends.
//   {"id":1,"client":"ann","do":"start","url":"http://…","transport":"WebSockets","on":["ReceiveMessage"]}
//   {"id":2,"client":"ann","do":"invoke","method":"SubscribeToGroup","args":[…]}
//   {"id":3,"client":"ann","do":"stop"}
//   {"id":4,"do":"fetch","url":"http://…","method":"POST","body":"…"}
// Every line is answered: {"id":1,"value":…} or {"id":1,"error":"…"}. What a client hears is told as it comes:
//   {"client":"ann","heard":"ReceiveMessage","args":[…]}   {"client":"ann","heard":"closed","args":["…"]}

import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const signalR = createRequire(new URL("../../../conformance/js/", import.meta.url))("@microsoft/signalr");
const clients = new Map();
const say = message => process.stdout.write(JSON.stringify(message) + "\n");

const actions = {
  async start({ client, url, transport, on, token }) {
    const connection = new signalR.HubConnectionBuilder()
      .withUrl(url, { transport: signalR.HttpTransportType[transport ?? "None"] || undefined, accessTokenFactory: token && (() => token) })
      .configureLogging(signalR.LogLevel.None)
      .build();
    for (const target of on ?? []) connection.on(target, (...args) => say({ client, heard: target, args }));
    connection.onclose(error => say({ client, heard: "closed", args: [error?.message ?? ""] }));
    await connection.start();
    clients.set(client, connection);
  },
  invoke: ({ client, method, args }) => clients.get(client).invoke(method, ...args),
  async stop({ client }) {
    await clients.get(client).stop();
    clients.delete(client);
  },
  async fetch({ url, method, body, type }) {
    const headers = body === undefined ? {} : { "Content-Type": type ?? "application/json" };
    const response = await fetch(url, { method, body, headers, redirect: "manual" });
    return { status: response.status, body: await response.text(), type: response.headers.get("Content-Type") ?? "" };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  Promise.resolve().then(() => actions[message.do](message)).then(
    value => say({ id: message.id, value: value ?? null }),
    error => say({ id: message.id, error: error.message || String(error) }),
  );
}
for (const connection of clients.values()) await connection.stop();
process.exit(0);
