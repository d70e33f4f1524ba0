import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const client = "node_modules/@microsoft/signalr/dist";
const files = {
  "/": "browser/page.html",
  "/page.js": "browser/page.js",
  "/worker.js": "browser/worker.js",
  "/signalr.js": `${client}/browser/signalr.js`,
  "/signalr-webworker.js": `${client}/webworker/signalr.js`,
  "/signalr-protocol-msgpack.js": "node_modules/@microsoft/signalr-protocol-msgpack/dist/browser/signalr-protocol-msgpack.js",
};

/** Serves the test's page on an origin of its own; returns its URL and how to end it. */
export async function servePages() {
  const listener = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const file = files[pathname] ?? (/^\/core\/\w+\.js$/.test(pathname) ? pathname.slice(1) : undefined);
    if (!file) {
      response.writeHead(404).end();
      return;
    }
    const type = file.endsWith(".html") ? "text/html; charset=utf-8" : "text/javascript; charset=utf-8";
    response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(await readFile(path.join(root, file)));
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    url: `http://127.0.0.1:${listener.address().port}/`,
    async close() {
      listener.closeAllConnections();
      listener.close();
      await once(listener, "close");
    },
  };
}
