// The transports by hand: what the client library does not let a test do.

import WebSocket from "ws";

import { Inbox, within } from "../core/check.js";

/** POST {path}/negotiate: status, headers and the answer as text and, where it is JSON, as an object. */
export async function negotiate(base, path, query = "negotiateVersion=1", headers = {}) {
  const response = await fetch(`${base}${path}/negotiate${query ? `?${query}` : ""}`, { method: "POST", headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: text.startsWith("{") ? JSON.parse(text) : undefined };
}

/** A WebSocket: open() waits for it; messages holds {data, binary}; closed resolves with {code, reason}. */
export class Socket {
  messages = new Inbox("a WebSocket message");

  constructor(url, options = {}) {
    this.socket = new WebSocket(url.replace(/^http/, "ws"), { rejectUnauthorized: false, ...options });
    this.socket.on("message", (data, binary) => this.messages.put({ data, binary }));
    this.socket.on("error", () => undefined);
    this.opened = new Promise((resolve, reject) => {
      this.socket.on("open", resolve);
      this.socket.on("error", reject);
    });
    this.opened.catch(() => undefined);
    this.refused = new Promise((resolve) => {
      this.socket.on("unexpected-response", async (_request, response) => {
        let body = "";
        for await (const chunk of response) {
          body += chunk;
        }
        this.socket.terminate();
        resolve({ status: response.statusCode, headers: response.headers, body });
      });
    });
    this.closed = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  static async open(url, options) {
    const socket = new Socket(url, options);
    await within(socket.opened, `WebSocket to ${url}`);
    return socket;
  }

  send(data) {
    this.socket.send(data);
  }

  /** The next message as text. */
  async text() {
    return (await this.messages.next()).data.toString();
  }

  async close(code = 1000) {
    this.socket.close(code);
    return within(this.closed, "the close of a WebSocket");
  }
}

/** An event stream: events holds the data of each event, ended resolves when the server ends it. */
export class EventStream {
  events = new Inbox("a server-sent event");
  #abort = new AbortController();

  static async open(url, headers = {}) {
    const stream = new EventStream();
    stream.response = await within(
      fetch(url, { headers: { accept: "text/event-stream", ...headers }, signal: stream.#abort.signal }),
      "GET of an event stream",
    );
    stream.ended = stream.#read();
    return stream;
  }

  async #read() {
    let rest = "";
    try {
      for await (const chunk of this.response.body.pipeThrough(new TextDecoderStream())) {
        const events = (rest + chunk).split("\r\n\r\n");
        rest = events.pop();
        for (const event of events) {
          const lines = event.split("\r\n").filter((line) => line.startsWith("data:"));
          this.events.put(lines.map((line) => line.slice(line[5] === " " ? 6 : 5)).join("\n"));
        }
        if (rest.startsWith(":\r\n")) {
          rest = rest.slice(3);
          this.commented = true;
        }
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        throw error;
      }
    }
  }

  close() {
    this.#abort.abort();
    return this.ended;
  }
}
