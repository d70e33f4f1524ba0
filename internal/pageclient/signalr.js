// A small SignalR client for pages: ASP.NET Core SignalR, JSON protocol, version 1.
//
//	const hub = new Hub("/signalr/v1/mainHub", { token: () => "…" });
//	hub.on("OnEvent", (message) => { … });
//	hub.onState = (state, reason) => { … };   // "connecting", "connected", "reconnecting", "closed"
//	await hub.start();
//	await hub.invoke("Subscribe", { e: "…" });
//	hub.stop();
//
// After a loss it connects again by itself, with a new connection id; onConnected runs each time there is a connection.
// It does not do streams, stateful reconnect or MessagePack.

const RS = "\u001e"; // ends every record
const RETRY = [0, 2000, 5000, 10000, 20000, 30000]; // ms, the last one again and again
const PING = 15000;
const SILENCE = 30000;
const HANDSHAKE = 15000;

export class Hub {
  #url; #token; #transports;
  #handlers = new Map();
  #calls = new Map();
  #next = 0;
  #link = null;       // the open transport
  #era = null;        // stands for the open transport: what an earlier one still says is ignored
  #run = 0;           // counts start and stop: what an earlier run still does is given up
  #timers = [];
  #retry = null;

  constructor(url, { token = () => "", transports = ["WebSockets", "ServerSentEvents", "LongPolling"] } = {}) {
    this.#url = new URL(url, location.href);
    this.#token = token;
    this.#transports = transports;
    this.state = "closed";
    this.transport = "";
    this.connectionId = "";
    this.onState = () => {};
    this.onConnected = async () => {};
  }

  // on sets the function that the server calls under that name.
  on(target, f) { this.#handlers.set(target.toLowerCase(), f); }

  // start connects. It fails if the first attempt does; later losses are repaired in the background. What an earlier start has come to is
  // given up.
  async start() {
    const run = ++this.#run;
    clearTimeout(this.#retry);
    this.#drop();
    this.#set("connecting");
    try {
      await this.#connect(run);
    } catch (err) {
      if (run === this.#run) this.#end(err.message);
      throw err;
    }
  }

  // stop closes the connection for good.
  stop() { this.#end(""); }

  // invoke calls a method of the server and returns its result.
  invoke(target, ...args) {
    return new Promise((resolve, reject) => {
      const id = String(this.#next++);
      this.#calls.set(id, { resolve, reject });
      try {
        this.#write({ type: 1, invocationId: id, target, arguments: args });
      } catch (err) {
        this.#calls.delete(id);
        reject(err);
      }
    });
  }

  #set(state, reason = "") {
    if (this.state === state && !reason) return;
    this.state = state;
    this.onState(state, reason);
  }

  #write(message) {
    if (!this.#link) throw new Error("not connected");
    this.#link.send(JSON.stringify(message) + RS);
  }

  async #connect(run) {
    let failure = null;
    for (const name of this.#transports) {
      // A connection token is good for one transport, so every try negotiates.
      const answer = await this.#negotiate();
      if (run !== this.#run) throw new Error("stopped");
      const offered = answer.availableTransports.find((t) => t.transport === name && t.transferFormats.includes("Text"));
      if (!offered) continue;
      try {
        await this.#open(name, answer.connectionToken);
      } catch (err) {
        failure = err;
        if (run !== this.#run) throw err;
        this.#drop();
        continue;
      }
      this.transport = name;
      this.connectionId = answer.connectionId;
      this.#watch();
      this.#set("connected");
      await this.onConnected();
      return;
    }
    throw failure || new Error("no transport in common with the server");
  }

  async #negotiate() {
    const url = new URL(this.#url);
    url.pathname = url.pathname.replace(/\/$/, "") + "/negotiate";
    url.searchParams.set("negotiateVersion", "1");
    const response = await fetch(url, { method: "POST", headers: this.#headers() });
    if (!response.ok) {
      const err = new Error(response.status === 401 ? "the token is not accepted (401)" : `negotiate: status ${response.status}`);
      err.final = response.status === 401 || response.status === 403;
      throw err;
    }
    const answer = await response.json();
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  #headers() {
    const token = this.#token();
    const headers = { "X-Requested-With": "XMLHttpRequest" };
    if (token) headers.Authorization = "Bearer " + token;
    return headers;
  }

  // address of the transports. Browsers cannot set headers on sockets and event streams, so the token goes into the query.
  #address(connectionToken, withToken) {
    const url = new URL(this.#url);
    url.searchParams.set("id", connectionToken);
    const token = this.#token();
    if (withToken && token) url.searchParams.set("access_token", token);
    return url;
  }

  // open resolves when the handshake is done.
  #open(name, connectionToken) {
    return new Promise((resolve, reject) => {
      const era = this.#era = { reject };
      let shaken = false;
      let rest = "";
      const lost = (reason) => {
        if (era !== this.#era) return;
        if (!shaken) reject(new Error(reason || "the connection was closed"));
        else this.#lost(reason, true);
      };
      const heard = (text) => {
        if (era !== this.#era) return;
        this.lastHeard = performance.now();
        const records = (rest + text).split(RS);
        rest = records.pop();
        for (const record of records) {
          if (era !== this.#era) return;
          const message = JSON.parse(record);
          if (shaken) {
            this.#message(message);
          } else if (message.error) {
            reject(new Error(message.error));
          } else {
            shaken = true;
            resolve();
          }
        }
      };
      const opened = () => this.#link.send(JSON.stringify({ protocol: "json", version: 1 }) + RS);
      const open = { WebSockets: webSocket, ServerSentEvents: eventStream, LongPolling: longPolling }[name];
      setTimeout(() => { if (!shaken) lost("the server did not answer the handshake"); }, HANDSHAKE);
      const where = this.#address(connectionToken, name !== "LongPolling");
      this.#link = open(where, () => this.#headers(), { opened, heard, lost });
    });
  }

  #message(m) {
    switch (m.type) {
      case 1: {
        const f = this.#handlers.get(m.target.toLowerCase());
        if (f) f(...m.arguments);
        if (m.invocationId) this.#write({ type: 3, invocationId: m.invocationId, error: "Client didn't provide a result." });
        break;
      }
      case 3: {
        const call = this.#calls.get(m.invocationId);
        this.#calls.delete(m.invocationId);
        if (!call) break;
        if (m.error) call.reject(new Error(m.error));
        else call.resolve(m.result);
        break;
      }
      case 7:
        this.#lost(m.error || "", m.allowReconnect === true);
        break;
    }
  }

  #watch() {
    this.lastHeard = performance.now();
    this.#timers = [
      setInterval(() => { try { this.#write({ type: 6 }); } catch { /* its loss is noticed elsewhere */ } }, PING),
      setInterval(() => { if (performance.now() - this.lastHeard > SILENCE) this.#lost("the server is silent", true); }, 1000),
    ];
  }

  // drop forgets the open transport and fails the calls that wait.
  #drop() {
    this.#era?.reject(new Error("the connection was closed")); // of no effect once it is open
    this.#era = null;
    for (const t of this.#timers) clearInterval(t);
    this.#timers = [];
    const link = this.#link;
    this.#link = null;
    if (link) link.close();
    for (const call of this.#calls.values()) call.reject(new Error("the connection was closed"));
    this.#calls.clear();
    this.connectionId = this.transport = "";
  }

  #lost(reason, again) {
    this.#drop();
    if (!again) {
      this.#end(reason || "the server closed the connection");
      return;
    }
    this.#set("reconnecting", reason);
    this.#again(this.#run, 0);
  }

  #again(run, n) {
    const pause = RETRY[Math.min(n, RETRY.length - 1)];
    this.#retry = setTimeout(async () => {
      try {
        await this.#connect(run);
      } catch (err) {
        if (run !== this.#run || this.state === "connected") return;
        if (err.final) this.#end(err.message);
        else this.#again(run, n + 1);
      }
    }, pause + Math.random() * 500);
  }

  #end(reason) {
    this.#run++;
    clearTimeout(this.#retry);
    if (this.#link && this.transport === "WebSockets") { // elsewhere the end of the stream, or the DELETE, says it
      try { this.#write({ type: 7 }); } catch { /* it is gone already */ }
    }
    this.#drop();
    this.#set("closed", reason);
  }
}

function webSocket(url, _headers, { opened, heard, lost }) {
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.onopen = opened;
  socket.onmessage = (e) => heard(e.data);
  socket.onclose = (e) => lost(e.reason);
  return { send: (text) => socket.send(text), close: () => { socket.onclose = null; socket.close(); } };
}

function eventStream(url, headers, { opened, heard, lost }) {
  const source = new EventSource(url);
  const queue = poster(url, headers, lost);
  source.onopen = opened;
  source.onmessage = (e) => heard(e.data);
  source.onerror = () => { source.close(); lost(""); };
  return { send: queue, close: () => { source.onerror = null; source.close(); } };
}

function longPolling(url, headers, { opened, heard, lost }) {
  const abort = new AbortController();
  const poll = async () => {
    const response = await fetch(url, { headers: headers(), signal: abort.signal, cache: "no-store" });
    if (response.status === 204) return false;
    if (!response.ok) throw new Error(`poll: status ${response.status}`);
    const text = await response.text();
    if (text) heard(text);
    return true;
  };
  (async () => {
    try {
      await poll(); // the first one opens the connection and is empty
      opened();
      while (await poll());
      lost("");
    } catch (err) {
      if (!abort.signal.aborted) lost(err.message);
    }
  })();
  const close = () => {
    abort.abort();
    fetch(url, { method: "DELETE", headers: headers(), keepalive: true }).catch(() => {});
  };
  return { send: poster(url, headers, lost), close };
}

// poster sends one text after the other, in order.
function poster(url, headers, lost) {
  let last = Promise.resolve();
  return (text) => {
    last = last.then(async () => {
      const response = await fetch(url, { method: "POST", headers: { ...headers(), "Content-Type": "text/plain;charset=UTF-8" }, body: text });
      if (!response.ok) throw new Error(`send: status ${response.status}`);
    }).catch((err) => lost(err.message));
  };
}
