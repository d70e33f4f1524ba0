// A buyer of Play Economy, with the real @microsoft/signalr.
// usage: node economy.mjs TRADING TOKEN TRANSPORT
// TRADING is the address of the trading service. Prints "connected", then for each status of a purchase "status" and the object, and
// "reconnecting" and "reconnected" when that happens. A line on the standard input is a list: ["buy", item, quantity, id] posts a
// purchase and prints "bought", the status code, Location and the body; ["invoke", method, argument] calls a method of the hub and prints
// "answered" or "error" and the message; ["get", path] prints "got", the status code and the body. Ends with the standard input.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const signalR = createRequire(new URL("../../../conformance/js/", import.meta.url))("@microsoft/signalr");
const [trading, token, transport] = process.argv.slice(2);
const authorization = { Authorization: `Bearer ${token}` };

const connection = new signalR.HubConnectionBuilder()
  .withUrl(`${trading}/messageHub`, { accessTokenFactory: () => token, transport: signalR.HttpTransportType[transport] })
  .withAutomaticReconnect([0, 100, 500, 1000, 2000, 4000, 8000])
  .configureLogging("none")
  .build();
connection.on("ReceivePurchaseStatus", (...args) => console.log("status", JSON.stringify(args.length === 1 ? args[0] : args)));
connection.onreconnecting(() => console.log("reconnecting"));
connection.onreconnected(() => console.log("reconnected"));
await connection.start();
console.log("connected");

const commands = {
  async buy(itemId, quantity, idempotencyId) {
    const response = await fetch(`${trading}/purchase`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorization },
      body: JSON.stringify({ itemId, quantity, idempotencyId }),
    });
    return `bought ${response.status} ${response.headers.get("Location")} ${await response.text()}`;
  },
  invoke: (method, argument) => connection.invoke(method, argument).then(() => "answered", e => `error ${e.message}`),
  async get(path) {
    const response = await fetch(trading + path, { headers: authorization });
    return `got ${response.status} ${await response.text()}`;
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line);
  console.log(await commands[name](...args));
}
await connection.stop();
