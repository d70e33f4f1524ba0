// The purchase form of the original's portal without its looks: the official client as it is configured there, and the same requests,
// retries and alerts, so that it shows what a buyer sees there.
// usage: node purchaseform.mjs CONFIG TOKEN
// CONFIG is the JSON of the two addresses of the portal's config.js that the form uses. Prints "ready", then what the form shows: "loading",
// "success" and "danger" with the text of the alert. A line on the standard input is the item's id and the quantity in a list: the form is
// filled in and sent. Ends with the standard input.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { randomUUID } from "node:crypto";

const { HubConnectionBuilder, LogLevel } = createRequire(new URL("../../../conformance/js/", import.meta.url))("@microsoft/signalr");
const window = JSON.parse(process.argv[2]);
const getAccessToken = async () => process.argv[3];
for (const level of ["info", "warn", "error"]) console[level] = () => {}; // where the client logs

const connection = new HubConnectionBuilder()
  .withUrl(`${window.TRADING_SERVICE_URL}/messageHub`, { accessTokenFactory: () => getAccessToken() })
  .withAutomaticReconnect()
  .configureLogging(LogLevel.Information)
  .build();
connection.on("ReceivePurchaseStatus", status =>
  status.currentState === "Faulted" ? console.log("danger", "Could not purchase the item(s). " + status.errorMessage) : console.log("success"));
connection.start().then(() => console.log("ready"), () => console.log("connection error"));

// send posts a purchase, and tries again whatever went wrong.
async function send(body, tries) {
  try {
    const response = await fetch(window.PURCHASE_API_URL, {
      method: "post",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${await getAccessToken()}` },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`Could not purchase the item: ${answer.title}`);
  } catch (e) {
    if (--tries === 0) console.log("danger", e.message);
    else setTimeout(() => send(body, tries), 5000);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [itemId, quantity] = JSON.parse(line);
  console.log("loading");
  send({ itemId, quantity: parseInt(quantity), idempotencyId: randomUUID() }, 3);
}
await connection.stop();
