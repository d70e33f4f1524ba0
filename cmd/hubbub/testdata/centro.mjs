// The JavaScript for Centro as docs/catalog.md has it, with the real jQuery and jquery.signalR in a window of jsdom.
// usage: node centro.mjs ADDRESS TOKEN TRANSPORT
// Prints "subscribed" with the transport in use, then every update with its hub as a line of JSON. Ends with the standard input.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../../conformance/js/", import.meta.url));
const { JSDOM } = require("jsdom");
const [address, token, transport] = process.argv.slice(2);

const { window } = new JSDOM("<body></body>", { url: address, runScripts: "outside-only", pretendToBeVisual: true });
window.EventSource = require("eventsource");
for (const script of ["jquery/dist/jquery.js", "signalr/jquery.signalR.js"]) window.eval(readFileSync(require.resolve(script), "utf8"));
const $ = window.$;

const connection = $.hubConnection(address + "/Centro/signalr", { useDefaultPath: false, qs: { access_token: token } });
const resources = connection.createHubProxy("ResourceEventHub");
const jobs = connection.createHubProxy("JobEventHub");
resources.on("Update", update => console.log(JSON.stringify(["resource", update])));
jobs.on("Update", update => console.log(JSON.stringify(["job", update])));
await connection.start({ transport: transport === "auto" ? "auto" : [transport] });
await resources.invoke("SubscribeToPart", "1882708");
await jobs.invoke("SubscribeToPipeline", "7");
console.log("subscribed", connection.transport.name);

process.stdin.on("end", () => {
  connection.stop();
  window.close();
}).resume();
