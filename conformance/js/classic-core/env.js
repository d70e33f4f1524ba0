import { Inbox, equal, unique, until, within } from "../core/check.js";

/** Every handler that a hub of a session gets unless a check says otherwise. */
const handlers = ["Msg", "Item", "Thing", "Counted"];

/**
 * What a check of a classic client gets: one client library, one transport, and the means to open connections over it.
 * Everything opened is closed by dispose().
 */
export class ClassicEnv {
  #opened = [];

  /**
   * @param {object} kit the client: hubConnection(url, options) and connection(url, qs), jQuery as $ where there is one, the Core
   *   client as core, the fetch to use, load(url) that runs a script, cut(), refuse(on) and freeze(on) of the network
   * @param {{base: string, server: string, transport: string, jsonp?: boolean}} way base leads through the network that a check
   *   may cut, server leads past it; the transport "auto" leaves the choice to the client
   */
  constructor(kit, way) {
    this.kit = kit;
    this.base = way.base;
    this.server = way.server;
    this.jsonp = Boolean(way.jsonp);
    this.transport = way.transport;
    this.path = this.jsonp ? "/classic-jsonp" : "/classic";
  }

  /** The transport that connections really get. */
  get effective() {
    return this.transport === "auto" ? "webSockets" : this.transport;
  }

  /** Whether the errors of requests have their status, and a poll that is given up is no error: only with jQuery's own requests. */
  get exact() {
    return this.kit.$ !== undefined && !this.jsonp;
  }

  get streaming() {
    return this.effective !== "longPolling";
  }

  /** A session that is not started: hubs names its hubs, the first is session.hub; the others are in session.hubs. */
  build({ path = this.path, hubs = ["RefHub"], on = handlers, qs } = {}) {
    const connection = this.kit.hubConnection(this.base + path, { useDefaultPath: false, qs });
    const session = new Session(this, connection);
    for (const name of hubs) {
      session.addHub(name, on);
    }
    this.#opened.push(connection);
    return session;
  }

  /** A session of a persistent connection. */
  buildRaw(path = "/classic-raw", qs) {
    const connection = this.kit.connection(this.base + path, qs);
    this.#opened.push(connection);
    return new Session(this, connection);
  }

  /** A started session. */
  async open(options) {
    const session = this.build(options);
    await session.start();
    return session;
  }

  /** A token for "testuser". */
  async token() {
    return (await this.get("/generateJwtToken")).text();
  }

  /** Asks the server past the network that may be cut. */
  async get(path, method = "GET") {
    const response = await this.kit.fetch(this.server + path, { method });
    equal(response.status, 200, `status of ${method} ${path}`);
    return response;
  }

  /** What the server noted of a connection, such as "RefHub connected". */
  async events(id) {
    return (await this.get(`/classic-events?id=${encodeURIComponent(id)}`)).json();
  }

  /** The requests that carried that tag in their query. */
  async requests(tag) {
    return (await this.get(`/classic-requests?tag=${tag}`)).json();
  }

  /** Sends the numbers from…to to a group while nobody calls. */
  async publish(group, from, to, life = "") {
    await this.get(`/classic-publish?group=${group}&from=${from}&to=${to}&life=${life}`, "POST");
  }

  unique = unique;

  async dispose() {
    await this.kit.refuse?.(false);
    await this.kit.freeze?.(false);
    for (const connection of this.#opened.splice(0)) {
      connection.stop(true, true);
    }
  }
}

/** One connection, what it heard, and what became of it. */
class Session {
  hubs = {};

  /** The calls of the server as [method, ...args], without those to everybody. */
  heard = new Inbox("a message");

  /** The texts that were sent to all or to others: those of other checks are among them. */
  broadcast = new Inbox("a message to everybody");

  /** The changes of state, by name. */
  states = [];

  /** The names of the events that the client raised. */
  raised = [];

  errors = [];

  constructor(env, connection) {
    this.env = env;
    this.connection = connection;
    const names = { 0: "connecting", 1: "connected", 2: "reconnecting", 4: "disconnected" };
    connection.stateChanged(({ newState }) => this.states.push(names[newState]));
    connection.error((error) => this.errors.push(String(error?.message ?? error)));
    for (const event of ["connectionSlow", "reconnecting", "reconnected", "disconnected"]) {
      connection[event](() => this.raised.push(event));
    }
  }

  addHub(name, on) {
    const proxy = this.connection.createHubProxy(name);
    for (const method of on) {
      proxy.on(method, (...args) => {
        if (method === "Msg" && (args[0] === "all" || args[0] === "others")) {
          this.broadcast.put(args[1]);
        } else {
          this.heard.put([method, ...args]);
        }
      });
    }
    this.hubs[name] = proxy;
    this.hub ??= proxy;
  }

  get id() {
    return this.connection.id;
  }

  async start(options = {}) {
    const { transport, jsonp } = this.env;
    const chosen = transport === "auto" ? {} : { transport: [transport] };
    const start = this.connection.start({ waitForPageLoad: false, jsonp, ...chosen, ...options });
    await within(start, `start over ${transport}`);
    return this;
  }

  /** Calls a method of the first hub. */
  invoke(method, ...args) {
    return within(this.hub.invoke(method, ...args), `${method} over ${this.env.transport}`);
  }

  /** The error of a call that must fail. */
  async failure(method, ...args) {
    let result;
    try {
      result = await this.invoke(method, ...args);
    } catch (error) {
      return { message: error.message, source: error.source, data: error.data };
    }
    throw new Error(`${method} returned ${JSON.stringify(result)}, want an error`);
  }

  /** The error of a start that must fail, with the status of its context. */
  async refusal(options) {
    try {
      await this.start(options);
    } catch (error) {
      const { status } = error.context ?? error.source ?? {};
      return { message: error.message, status };
    }
    throw new Error("the start went well, want an error");
  }

  /** Waits until the client has raised that event. */
  event(name, ms) {
    return until(() => this.raised.includes(name), `the event ${name}`, ms).catch((error) => {
      throw new Error(`${error.message}; raised ${this.raised}, errors ${JSON.stringify(this.errors)}`);
    });
  }

  /** Waits until the server has noted that event of the connection, and returns all. */
  async noted(event, id = this.id, ms = undefined) {
    let list;
    await until(async () => (list = await this.env.events(id)).includes(event), `the server's note "${event}" of ${id}`, ms).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(list)}`);
    });
    return list;
  }

  stop() {
    this.connection.stop(true, true);
  }
}
