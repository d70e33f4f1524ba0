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

  /** Opens a proxy in front of the server at that URL; its own address is base. */
  static async open(target) {
    const proxy = new Proxy();
    const { hostname, port, protocol } = new URL(target);
    proxy.#listener = net.createServer((near) => proxy.#join(near, Number(port), hostname));
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
    const far = net.connect(port, host);
    far.on("error", () => undefined);
    const pair = { near, far };
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    near.on("close", end);
    far.on("close", end);
    near.setNoDelay(true);
    far.setNoDelay(true);
    near.pipe(far);
    far.pipe(near);
  }

  /** Resets every connection on both sides, losing what is on its way; returns how many there were. */
  cut() {
    this.cuts++;
    const pairs = [...this.#pairs];
    for (const { near, far } of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    return pairs.length;
  }

  async close() {
    this.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }
}
