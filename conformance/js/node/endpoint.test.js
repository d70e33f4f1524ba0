// The HTTP face of an endpoint: negotiate, status codes, cookies, CORS and tokens.

import { describe } from "node:test";

import { equal, matches, rejects, until, within } from "../core/check.js";
import { EventStream, Socket, negotiate } from "../support/raw.js";
import { server } from "../support/server.js";
import { check } from "../support/suite.js";

const rs = "\u001e";
const token = /^[A-Za-z0-9_-]{22}$/;
const base = server.http;

describe("negotiate", { concurrency: true }, () => {
  check("version 1 has an id, a secret token and three transports", {}, async () => {
    const { status, headers, json } = await negotiate(base, "/testhub");
    equal(status, 200, "status");
    equal(headers.get("content-type"), "application/json", "content type");
    equal(json.negotiateVersion, 1, "negotiateVersion");
    matches(json.connectionId, token, "connectionId");
    equal(json.connectionToken === json.connectionId, false, "the token is the id");
    equal(json.availableTransports, [
      { transport: "WebSockets", transferFormats: ["Text", "Binary"] },
      { transport: "ServerSentEvents", transferFormats: ["Text"] },
      { transport: "LongPolling", transferFormats: ["Text", "Binary"] },
    ]);
  });

  check("version 0 has no token", {}, async () => {
    for (const query of ["", "negotiateVersion=0"]) {
      const { json } = await negotiate(base, "/testhub", query);
      equal([json.negotiateVersion, "connectionToken" in json], [0, false], query);
    }
  });

  check("a higher version is answered with the highest known", {}, async () => {
    equal((await negotiate(base, "/testhub", "negotiateVersion=7")).json.negotiateVersion, 1);
  });

  check("a version that is no number, or too low, is an error in a good answer", {}, async () => {
    const bad = await negotiate(base, "/testhub", "negotiateVersion=one");
    equal([bad.status, bad.json], [200, { error: "The client requested a non-integer protocol version." }]);
    const low = await negotiate(base, "/testhub", "negotiateVersion=-1");
    equal([low.status, low.json], [
      200,
      { error: "The client requested version '-1', but the server does not support this version." },
    ]);
  });

  check("an endpoint lists only its transports", {}, async () => {
    const { json } = await negotiate(base, "/testhub-nowebsockets");
    equal(json.availableTransports.map(({ transport }) => transport), ["ServerSentEvents", "LongPolling"]);
  });

  check("stateful reconnect is granted where it is allowed and asked for", {}, async () => {
    const query = "negotiateVersion=1&useStatefulReconnect=true";
    equal((await negotiate(base, "/testhub-stateful", query)).json.useStatefulReconnect, true);
    equal("useStatefulReconnect" in (await negotiate(base, "/testhub-stateful")).json, false, "granted unasked");
    equal("useStatefulReconnect" in (await negotiate(base, "/testhub", query)).json, false, "granted where not allowed");
  });

  check("only POST negotiates", {}, async () => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      equal((await fetch(`${base}/testhub/negotiate`, { method })).status, 405, method);
    }
  });

  check("path and query are found in any case, with a slash at the end", {}, async () => {
    equal((await negotiate(base, "/TESTHUB", "NEGOTIATEVERSION=1")).json.negotiateVersion, 1);
    const response = await fetch(`${base}/testhub/Negotiate/?negotiateVersion=1`, { method: "POST" });
    equal([response.status, (await response.json()).negotiateVersion], [200, 1]);
  });
});

describe("status codes", { concurrency: true }, () => {
  check("no id, an empty id and an unknown id", {}, async () => {
    for (const options of [{}, { headers: { accept: "text/event-stream" } }, { method: "POST", body: "x" }, { method: "DELETE" }]) {
      equal(await answer(`${base}/testhub`, options), [400, "Connection ID required"]);
      equal(await answer(`${base}/testhub?id=`, options), [400, "Connection ID required"]);
      equal(await answer(`${base}/testhub?id=unknown`, options), [404, "No Connection with that ID"]);
    }
  });

  check("the public id is not the token", {}, async () => {
    const { json } = await negotiate(base, "/testhub");
    equal(await answer(`${base}/testhub?id=${json.connectionId}`), [404, "No Connection with that ID"]);
  });

  check("a WebSocket with an unknown token is refused", {}, async () => {
    const { status, body } = await within(new Socket(`${base}/testhub?id=unknown`).refused, "the answer");
    equal([status, body], [404, "No Connection with that ID"]);
  });

  check("a WebSocket where there are none is refused", {}, async () => {
    const { status, body } = await within(new Socket(`${base}/testhub-nowebsockets`).refused, "the answer");
    equal([status, body], [404, "WebSockets transport not supported by this end point type"]);
  });

  check("other methods are refused", {}, async () => {
    for (const method of ["PUT", "PATCH"]) {
      equal((await fetch(`${base}/testhub`, { method })).status, 405, method);
    }
  });

  check("polls carry cache headers and bind the connection", {}, async () => {
    const url = await negotiated("/testhub");
    const poll = await fetch(url);
    equal([poll.status, await poll.text()], [200, ""], "first poll");
    equal(poll.headers.get("content-type"), "application/octet-stream", "content type");
    equal(poll.headers.get("cache-control"), "no-cache, no-store", "cache-control");
    equal(poll.headers.get("pragma"), "no-cache", "pragma");
    equal(poll.headers.get("expires"), "Thu, 01 Jan 1970 00:00:00 GMT", "expires");
    const stream = { headers: { accept: "text/event-stream" } };
    equal(await answer(url, stream), [400, "Cannot change transports mid-connection"]);
    equal((await fetch(url, { method: "DELETE" })).status, 202, "DELETE");
    await until(async () => (await fetch(url)).status === 404, "the server forgets it");
  });

  check("a newer poll ends the older one", {}, async () => {
    const url = await negotiated("/testhub");
    await fetch(url);
    await fetch(url, { method: "POST", body: `{"protocol":"json","version":1}${rs}` });
    equal(await (await fetch(url)).text(), `{}${rs}`, "handshake answer");
    const older = fetch(url);
    const call = `{"type":1,"invocationId":"0","target":"Echo","arguments":["x"]}${rs}`;
    const newer = (async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      return fetch(url);
    })();
    equal((await within(older, "the older poll")).status, 204, "status of the older poll");
    await fetch(url, { method: "POST", body: call });
    matches(await (await within(newer, "the newer poll")).text(), /"result":"x"/);
    await fetch(url, { method: "DELETE" });
  });

  check("a second event stream is refused", {}, async () => {
    const url = await negotiated("/testhub");
    const stream = await EventStream.open(url);
    equal((await fetch(url, { headers: { accept: "text/event-stream" } })).status, 409, "status");
    await stream.close();
  });

  check("DELETE is for long polling", {}, async () => {
    const url = await negotiated("/testhub");
    equal(await answer(url, { method: "DELETE" }), [400, "Cannot terminate this connection using the DELETE endpoint."]);
    const stream = await EventStream.open(url);
    equal(await answer(url, { method: "DELETE" }), [400, "Cannot terminate this connection using the DELETE endpoint."]);
    await stream.close();
  });

  check("a WebSocket takes no POST", {}, async () => {
    const url = await negotiated("/testhub");
    const socket = await Socket.open(url);
    equal(await answer(url, { method: "POST", body: "x" }), [405, "POST requests are not allowed for WebSocket connections."]);
    await socket.close();
  });
});

describe("handshake", { concurrency: true }, () => {
  const refusals = [
    ["an unknown protocol", `{"protocol":"smoke","version":1}`, "The protocol 'smoke' is not supported."],
    ["an unknown version", `{"protocol":"json","version":9}`, "The server does not support version 9 of the 'json' protocol."],
  ];
  for (const [name, request, error] of refusals) {
    check(`${name} is refused`, {}, async () => {
      const socket = await Socket.open(`${base}/testhub`);
      socket.send(request + rs);
      equal(await socket.text(), JSON.stringify({ error }) + rs);
      await within(socket.closed, "the close");
    });
  }

  check("MessagePack answers a text handshake with a binary frame", {}, async () => {
    const socket = await Socket.open(`${base}/testhub`);
    socket.send(`{"protocol":"messagepack","version":1}${rs}`);
    const { data, binary } = await socket.messages.next();
    equal([data.toString(), binary], [`{}${rs}`, true]);
    await socket.close();
  });

  check("records may be merged and split in any way", {}, async () => {
    const socket = await Socket.open(`${base}/testhub`);
    const calls = [0, 1, 2].map((i) => `{"arguments":["x${i}"],"target":"Echo","invocationId":"${i}","type":1}${rs}`);
    const all = `{"protocol":"json","version":1}${rs}${calls.join("")}`;
    for (const character of all.slice(0, 60)) {
      socket.send(character);
    }
    socket.send(all.slice(60));
    const records = () => socket.messages.all.map(({ data }) => data.toString()).join("").split(rs).slice(0, -1);
    await until(() => records().length === 4, "four records");
    equal(records().map((record) => JSON.parse(record).result), [undefined, "x0", "x1", "x2"]);
    for (const { data } of socket.messages.all) {
      equal(data.toString().endsWith(rs), true, "a frame ends with a whole record");
    }
    await socket.close();
  });
});

describe("middleware", { concurrency: true }, () => {
  check("negotiate sets its cookies", {}, async () => {
    const cookies = (await negotiate(base, "/testhub")).headers.getSetCookie();
    equal(cookies.slice(0, 2), ["testCookie=testValue; path=/", "testCookie2=testValue2; path=/"]);
    matches(cookies[2], /^expiredCookie=doesntmatter; expires=.*GMT; path=\/$/);
    const secure = (await negotiate(server.https, "/echo")).headers.getSetCookie();
    equal(secure[0], "testCookie=testValue; path=/; secure; samesite=none; partitioned");
    equal((await fetch(`${base}/testhub`)).headers.getSetCookie(), [], "cookies beside negotiate");
  });

  check("foreign origins are let in with credentials", {}, async () => {
    const origin = "http://localhost:8123";
    const preflight = await fetch(`${base}/testhub/negotiate`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,x-requested-with" },
    });
    equal([preflight.status, await preflight.text()], [204, ""]);
    equal(cors(preflight), [origin, "true", "POST", "authorization,x-requested-with"]);
    const actual = await fetch(`${base}/testhub/negotiate`, { method: "POST", headers: { origin } });
    equal(cors(actual).slice(0, 2), [origin, "true"]);
    const none = await fetch(`${base}/testhub/negotiate`, { method: "POST" });
    equal(cors(none), [null, null, null, null]);
  });

  check("a bad negotiate is a bad request", {}, async () => {
    equal(await answer(`${base}/bad-negotiate/negotiate`, { method: "POST" }), [400, "Some response from server"]);
  });

  check("the deployment is told as JSON", {}, async () => {
    const response = await fetch(`${base}/deployment`);
    equal([response.status, response.headers.get("content-type")], [200, "application/json"]);
    equal(typeof (await response.json()), "object", "the answer");
  });

  check("a token is plain text without a type", {}, async () => {
    const response = await fetch(`${base}/generateJwtToken`);
    equal([response.status, response.headers.get("content-type")], [200, null]);
    const [header, claims, signature] = (await response.text()).split(".").map((part) => Buffer.from(part, "base64url"));
    equal(JSON.parse(header).alg, "HS256", "alg");
    const { iss, aud, nameid, exp, nbf } = JSON.parse(claims);
    equal([iss, aud, nameid, nbf], ["SignalRTestServer", "SignalRTests", "testuser", undefined]);
    equal(Math.abs(exp - Date.now() / 1000 - 5) < 5, true, `exp ${exp} is 5 seconds from now`);
    equal(signature.length, 32, "bytes of the signature");
  });
});

describe("authorization", { concurrency: true }, () => {
  check("every request of the guarded hub needs a token", {}, async () => {
    for (const [method, path] of [["POST", "/negotiate"], ["GET", ""], ["POST", ""], ["DELETE", ""]]) {
      const response = await fetch(`${base}/authorizedhub${path}?id=x`, { method });
      equal([response.status, await response.text()], [401, ""], `${method} ${path}`);
      equal(response.headers.get("www-authenticate"), "Bearer", "www-authenticate");
      equal(response.statusText, "Unauthorized", "reason phrase");
    }
    const { status, body } = await within(new Socket(`${base}/authorizedhub`).refused, "the answer");
    equal([status, body], [401, ""], "WebSocket");
  });

  check("a bad token is told from none", {}, async () => {
    for (const [query, headers] of [["", { authorization: "Bearer a.b.c" }], ["?access_token=a.b.c", {}]]) {
      const response = await fetch(`${base}/authorizedhub/negotiate${query}`, { method: "POST", headers });
      equal([response.status, await response.text()], [401, ""]);
      matches(response.headers.get("www-authenticate"), /^Bearer error="invalid_token"/, "www-authenticate");
    }
  });

  check("the token may come in the header or in the query", {}, async (env) => {
    const bearer = await env.token();
    equal((await negotiate(base, "/authorizedhub", "", { authorization: `Bearer ${bearer}` })).status, 200, "header");
    equal((await negotiate(base, "/authorizedhub", "", { authorization: `bEARER ${bearer}` })).status, 200, "header, other case");
    equal((await negotiate(base, "/authorizedhub", `access_token=${bearer}`)).status, 200, "query");
    const both = await negotiate(base, "/authorizedhub", `access_token=${bearer}`, { authorization: "Bearer a.b.c" });
    equal(both.status, 401, "the header is asked first");
  });

  check("a WebSocket authenticates by query without negotiate", {}, async (env) => {
    const socket = await Socket.open(`${base}/authorizedhub?access_token=${await env.token()}`);
    socket.send(`{"protocol":"json","version":1}${rs}`);
    equal(await socket.text(), `{}${rs}`);
    await socket.close();
  });

  check("a connection of a token needs a token for each request", {}, async (env) => {
    const bearer = await env.token();
    const { json } = await negotiate(base, "/authorizedhub", "negotiateVersion=1", { authorization: `Bearer ${bearer}` });
    const url = `${base}/authorizedhub?id=${json.connectionToken}`;
    equal(await answer(url), [401, ""], "poll without a token");
    equal(await answer(url, { headers: { authorization: `Bearer ${bearer}` } }), [200, ""], "poll with it");
    equal(await answer(url, { method: "POST", body: "x" }), [401, ""], "POST without a token");
    equal((await fetch(`${url}&access_token=${bearer}`, { method: "DELETE" })).status, 202, "DELETE with it");
  });
});

for (const transport of ["WebSockets", "ServerSentEvents", "LongPolling"]) {
  describe(`a hub that cannot be made ${transport}`, () => {
    check("says why and ends", { transport, protocol: "json" }, async (env) => {
      const why =
        "Server returned an error on close: Connection closed with an error. InvalidOperationException: " +
        "Unable to resolve service for type 'System.Object' while attempting to activate 'FunctionalTests.UncreatableHub'.";
      const connection = env.build({ path: "/uncreatable" });
      const closed = env.closed(connection);
      try {
        await within(connection.start(), "start");
      } catch (error) {
        const gone = "No Connection with that ID: Status code '404'";
        equal(error.message === why || error.message === gone, true, `the error of start: ${error.message}`);
        return;
      }
      const error = await within(closed, "onclose");
      equal(error?.message, why, "error of onclose");
      await rejects(connection.invoke("Echo", "x"), /Cannot send data if the connection is not in the 'Connected' State/);
    });
  });
}

async function negotiated(path) {
  const { json } = await negotiate(base, path);
  return `${base}${path}?id=${json.connectionToken}`;
}

async function answer(url, options) {
  const response = await within(fetch(url, options), `${options?.method ?? "GET"} ${url}`);
  return [response.status, await response.text()];
}

function cors(response) {
  return ["origin", "credentials", "methods", "headers"].map((name) => response.headers.get(`access-control-allow-${name}`));
}
