import net from "node:net";
import { once } from "node:events";

/** A TCP proxy in front of the server, whose connections a test can cut. */
export class Proxy {
  #pairs = new Set();
  #listener;

  /** While true, new connections are reset at once. */
  refusing = false;

  /** How many connections came, refused ones among them. */
  accepted = 0;

  /** How often cut was called. */
  cuts = 0;

  #frozen = false;

  /** Opens a proxy in front of the server at that URL; its own address is base. */
  static async open(target) {
    const proxy = new Proxy();
    const { hostname, port, protocol } = new URL(target);
    proxy.#listener = net.createServer({ allowHalfOpen: true }, (near) => proxy.#join(near, Number(port), hostname));
    proxy.#listener.listen(0, "127.0.0.1");
    await once(proxy.#listener, "listening");
    proxy.base = `${protocol}//127.0.0.1:${proxy.#listener.address().port}`;
    return proxy;
  }

  #join(near, port, host) {
    this.accepted++;
    near.on("error", () => undefined);
    if (this.refusing) {
      near.resetAndDestroy();
      return;
    }
    const far = net.connect({ port, host, allowHalfOpen: true });
    far.on("error", () => undefined);
    const pair = [near, far];
    this.#pairs.add(pair);
    if (this.#frozen) {
      near.pause();
      far.pause();
    }
    forward(near, far, () => this.#pairs.delete(pair));
    forward(far, near, () => this.#pairs.delete(pair));
  }

  /** Resets every connection on both sides, losing what is on its way; returns how many there were. */
  cut() {
    this.cuts++;
    const pairs = [...this.#pairs];
    this.#pairs.clear();
    for (const socket of pairs.flat()) {
      socket.resetAndDestroy();
    }
    return pairs.length;
  }

  /** While on, nothing passes in either direction, and nothing is lost. */
  freeze(on) {
    this.#frozen = on;
    for (const socket of [...this.#pairs].flat()) {
      if (on) {
        socket.pause();
      } else {
        socket.resume();
      }
    }
  }

  async close() {
    this.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }
}

/**
 * Copies one direction of a pair. A pair leaves the set before either socket is shut down politely: Node cannot reset
 * a socket whose shutdown is under way, and would spin at exit over the handle that never closed.
 */
function forward(from, to, leave) {
  from.setNoDelay(true);
  from.on("data", (chunk) => {
    if (!to.write(chunk)) {
      from.pause();
    }
  });
  to.on("drain", () => from.resume());
  from.on("end", () => {
    leave();
    from.destroySoon();
    to.destroySoon();
  });
  from.on("close", () => {
    leave();
    to.destroySoon();
  });
}
