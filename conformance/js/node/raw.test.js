// The raw connection behind /echo: the transports without a hub protocol, which the library's client does not offer.

import { describe } from "node:test";

import { equal, until, within } from "../core/check.js";
import { server } from "../support/server.js";
import { EventStream, Socket, negotiate } from "../support/raw.js";
import { check } from "../support/suite.js";

const texts = ["hello", "", "ünïcödé 漢字 😀", "x".repeat(1_000), "no\u001erecord separator", "line\nbreak"].filter(Boolean);

for (const [scheme, base] of Object.entries(server)) {
  describe(`raw connections ${scheme}`, { concurrency: true }, () => {
    check("a WebSocket without negotiate echoes text frames", { base }, async () => {
      const socket = await Socket.open(`${base}/echo`);
      for (const text of texts) {
        socket.send(text);
        const { data, binary } = await socket.messages.next();
        equal(data.toString(), text);
        equal(binary, false, "binary frame");
      }
      equal(await socket.close(), { code: 1000, reason: "" });
    });

    check("a WebSocket after negotiate echoes", { base }, async () => {
      const { json } = await negotiate(base, "/echo");
      const socket = await Socket.open(`${base}/echo?id=${json.connectionToken}`);
      socket.send("after negotiate");
      equal(await socket.text(), "after negotiate");
      await socket.close();
    });

    check("bytes that are not text come back unchanged", { base }, async () => {
      const socket = await Socket.open(`${base}/echo`);
      const bytes = Buffer.from([...Array(128).keys()]);
      socket.send(bytes);
      const { data } = await socket.messages.next();
      equal([...data], [...bytes]);
      await socket.close();
    });

    check("a large message comes back complete and in order", { base }, async () => {
      const socket = await Socket.open(`${base}/echo`);
      const text = Array.from({ length: 30_000 }, (_, i) => i).join(",");
      socket.send(text);
      const back = () => socket.messages.all.map(({ data }) => data.toString()).join("");
      await until(() => back().length >= text.length, "the large message comes back");
      equal(back() === text, true, "what came back is what was sent");
      await socket.close();
    });

    check("messages of one socket come back in order", { base }, async () => {
      const socket = await Socket.open(`${base}/echo`);
      const sent = Array.from({ length: 500 }, (_, i) => `${i};`).join("");
      for (let i = 0; i < 500; i++) {
        socket.send(`${i};`);
      }
      const back = () => socket.messages.all.map(({ data }) => data.toString()).join("");
      await until(() => back().length >= sent.length, "all messages come back");
      equal(back(), sent);
      await socket.close();
    });

    check("an event stream echoes what is posted", { base }, async () => {
      const { json } = await negotiate(base, "/echo");
      const url = `${base}/echo?id=${json.connectionToken}`;
      const stream = await EventStream.open(url);
      equal(stream.response.headers.get("content-type"), "text/event-stream", "content type");
      for (const text of texts) {
        equal((await fetch(url, { method: "POST", body: text })).status, 200, "status of the POST");
        equal(await stream.events.next(), text);
      }
      equal(stream.commented, true, "a comment came first");
      await stream.close();
      await until(async () => (await fetch(url, { method: "POST", body: "x" })).status === 404, "the server forgets it");
    });

    check("polls echo what is posted", { base }, async () => {
      const { json } = await negotiate(base, "/echo");
      const url = `${base}/echo?id=${json.connectionToken}`;
      const first = await fetch(url);
      equal([first.status, await first.text()], [200, ""], "first poll");
      for (const text of texts) {
        const poll = fetch(url);
        equal((await fetch(url, { method: "POST", body: text })).status, 200, "status of the POST");
        equal(await (await within(poll, "a poll")).text(), text);
      }
      equal((await fetch(url, { method: "DELETE" })).status, 202, "status of the DELETE");
      await until(async () => (await fetch(url)).status === 404, "the server forgets it");
    });

    check("a redirected WebSocket request is told where to go", { base }, async () => {
      const { status, headers } = await within(new Socket(`${base}/echoredirect?a=b`).refused, "the answer");
      equal(status, 307, "status");
      equal(new URL(headers.location, base).href, `${base}/echo?a=b`, "location");
    });

    check("a socket that follows redirects arrives", { base }, async () => {
      const socket = await Socket.open(`${base}/EchoRedirect`, { followRedirects: true });
      socket.send("round the corner");
      equal(await socket.text(), "round the corner");
      await socket.close();
    });

    check("negotiate, stream and polls follow redirects", { base }, async () => {
      const { status, json } = await negotiate(base, "/echoredirect");
      equal(status, 200, "status of negotiate");
      const url = `${base}/echoredirect?id=${json.connectionToken}`;
      const stream = await EventStream.open(url);
      equal((await fetch(url, { method: "POST", body: "redirected" })).status, 200, "status of the POST");
      equal(await stream.events.next(), "redirected");
      await stream.close();
    });
  });
}
