import { Inbox, unique, within } from "./check.js";

/**
 * What a check gets: one base URL, one transport, one protocol, and the means to open connections over them.
 * Everything opened is closed by dispose().
 */
export class Env {
  #opened = [];

  /**
   * @param {object} kit the client libraries: signalR, msgpack, fetch, inBrowser
   * @param {{base: string, transport: string, protocol: string}} way
   */
  constructor(kit, way) {
    this.kit = kit;
    this.base = way.base;
    this.transport = way.transport;
    this.protocol = way.protocol;
  }

  /** The same environment over another transport or protocol; disposed together with this one. */
  over(way) {
    const other = new Env(this.kit, { base: this.base, transport: this.transport, protocol: this.protocol, ...way });
    this.#opened.push({ stop: () => other.dispose() });
    return other;
  }

  /** A hub connection that is not started yet. Options may hold path, and everything withUrl takes. */
  build(options = {}) {
    const { signalR, msgpack } = this.kit;
    const { path = "/testhub", url = this.base + path, reconnect, stateful, ...rest } = options;
    const builder = new signalR.HubConnectionBuilder()
      .withUrl(url, { transport: signalR.HttpTransportType[this.transport], logger: signalR.LogLevel.None, ...rest })
      .configureLogging(signalR.LogLevel.None);
    if (this.protocol === "messagepack") {
      builder.withHubProtocol(new msgpack.MessagePackHubProtocol());
    }
    if (reconnect) {
      builder.withAutomaticReconnect(reconnect);
    }
    if (stateful) {
      builder.withStatefulReconnect();
    }
    const connection = builder.build();
    this.#opened.push(connection);
    return connection;
  }

  /** A started hub connection. */
  async connect(options = {}) {
    const connection = this.build(options);
    await within(connection.start(), `start over ${this.transport} with ${this.protocol}`);
    return connection;
  }

  /** What arrives for the client method of that name, from now on; pick keeps only the wanted ones. */
  inbox(connection, method, pick = () => true) {
    const inbox = new Inbox(`${method} over ${this.transport} with ${this.protocol}`);
    connection.on(method, (...args) => {
      const value = args.length > 1 ? args : args[0];
      if (pick(value)) {
        inbox.put(value);
      }
    });
    return inbox;
  }

  /** The close of a connection: resolves with its error, or undefined. */
  closed(connection) {
    return new Promise((resolve) => connection.onclose(resolve));
  }

  /** A fresh token of the server's own issuer. */
  async token() {
    const response = await this.kit.fetch(`${this.base}/generateJwtToken`);
    return response.text();
  }

  fetch(path, options) {
    return this.kit.fetch(this.base + path, options);
  }

  unique = unique;

  async dispose() {
    const opened = this.#opened.splice(0);
    await Promise.all(opened.map((one) => within(one.stop(), "stop").catch(() => undefined)));
  }
}

/** The five ways of a client to a server; Server-Sent Events carry no binary. */
export const ways = [
  { transport: "WebSockets", protocol: "json" },
  { transport: "WebSockets", protocol: "messagepack" },
  { transport: "ServerSentEvents", protocol: "json" },
  { transport: "LongPolling", protocol: "json" },
  { transport: "LongPolling", protocol: "messagepack" },
];
