import * as signalR from "@microsoft/signalr";
import * as msgpack from "@microsoft/signalr-protocol-msgpack";

/** The client libraries as Node loads them. */
export const kit = { signalR, msgpack, fetch, inBrowser: false };
