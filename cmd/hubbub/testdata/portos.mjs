// The JavaScript of the Portos document, as it stands there but for address and token, with the real @microsoft/signalr.
// usage: node portos.mjs ADDRESS TOKEN
// Prints "subscribed", then every notification as a line of JSON. Ends with the standard input.

import { createRequire } from "node:module";
const signalR = createRequire(new URL("../../../conformance/js/", import.meta.url))("@microsoft/signalr");

const token = process.argv[3];
const serverAddress = process.argv[2];

const connection = new signalR.HubConnectionBuilder()
    .withUrl(serverAddress + "/signalr/v1/mainHub", {
        accessTokenFactory: () => token
    })
    .build();

connection.on("OnEvent", function (message) {
    console.log(JSON.stringify(message));
});

await connection.start();

const subscriptionPayload = {
    e: "portos.resources.changed", // event name
    r: [ // optional collection of resources
        {
            n: "devices", // resource name
            a: [ // optional collection of actions
                "created",
                "updated",
                "deleted"
            ]
        }
    ]
};

await connection.invoke("Subscribe", subscriptionPayload);
console.log("subscribed");

process.stdin.on("end", () => connection.stop()).resume();
