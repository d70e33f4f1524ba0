import { equal, matches, until, within } from "../core/check.js";

/** What only the client with jQuery has: the generated script, headers, persistent connections, and a neighbour that speaks Core. */
export const page = {
  async "the generated script has every hub, with its methods"(env) {
    const { $ } = env.kit;
    for (const script of ["hubs", "hubs/", "js"]) {
      await env.kit.load(`${env.base}${env.path}/${script}`);
    }
    const { hub, refHub, authHub, detailHub, memberHub } = $.connection;
    equal([refHub, authHub, detailHub, memberHub].map((one) => typeof one.server.echo), Array(4).fill("function"), "hubs");
    equal([hub.url, refHub.hubName], [env.path, "refhub"]);
    hub.url = env.base + env.path;
    const heard = [];
    refHub.client.msg = (to, text) => { // the hub is that of other checks, which send to all
      if (to === hub.id) {
        heard.push([to, text]);
      }
    };
    const chosen = env.transport === "auto" ? {} : { transport: [env.transport] };
    try {
      await within(hub.start({ waitForPageLoad: false, jsonp: env.jsonp, ...chosen }), "start");
      equal(await refHub.server.echo("by script"), "by script");
      equal(await refHub.server.add(2, 3), 5);
      await refHub.server.toClient(hub.id, "hello");
      await until(() => heard.length >= 1, "the message");
      equal(heard, [[hub.id, "hello"]]);
      equal(await env.events(hub.id), ["RefHub connected"], "only hubs with handlers are listed");
    } finally {
      hub.stop(true, true);
    }
  },

  async "the generated script can be switched off"(env) {
    let message = "";
    try {
      await env.kit.load(`${env.base}/classic-noproxies/hubs`);
    } catch (error) {
      ({ message } = error);
    }
    equal(message, "SignalR: JavaScript Hub proxy generation has been disabled.");
  },

  async "headers of the application go with what is asked by XMLHttpRequest"(env) {
    if (env.jsonp) {
      return; // has no headers
    }
    const tag = env.unique("tag");
    const defaults = env.kit.$.signalR.ajaxDefaults;
    defaults.headers = { "X-Own": "own value" };
    try {
      const session = await env.open({ qs: { tag } });
      await session.invoke("Echo", "x");
      const list = (await env.requests(tag)).filter(({ path }) => !path.endsWith("/connect") || env.effective === "longPolling");
      equal(list.length >= 2, true, `${list.length} requests, want at least two`);
      for (const { path, headers } of list) {
        equal(headers["x-own"], "own value", `header of ${path}`);
      }
    } finally {
      delete defaults.headers;
    }
  },

  async "a token that is set on the connection goes along as header or query"(env) {
    if (env.jsonp || env.transport === "foreverFrame") {
      return; // cannot have one
    }
    const [tag, token] = [env.unique("tag"), await env.token()];
    const session = env.build({ hubs: ["AuthHub"], qs: { tag } });
    session.connection.accessToken = token;
    await session.start();
    equal((await session.invoke("Caller")).User, "testuser");
    for (const { path, query, headers } of await env.requests(tag)) {
      equal([headers.authorization, query.access_token].filter(Boolean).length, 1, `tokens of ${path}`);
    }
  },

  async "a persistent connection sends texts and objects"(env) {
    const session = env.buildRaw();
    session.connection.received((data) => session.heard.put(data));
    await session.start();
    for (const text of ["hello", '{"a":1}', "é<\n>", " "]) {
      session.connection.send(text);
      equal(await session.heard.next(), text);
    }
    session.connection.send("object");
    equal(await session.heard.next(), { Kind: "object", Number: 1 });
    const { id } = session;
    session.stop();
    equal(await session.noted("Raw stopped", id, 3_000), ["Raw connected", "Raw stopped"]);
  },

  async "one hub, both dialects: a group of both, each message encoded once for each"(env) {
    const { HubConnectionBuilder, LogLevel } = env.kit.core;
    const [group, name] = [env.unique("group"), env.unique("name")];
    const members = await Promise.all([env.open({ path: "/classic-both" }), env.open({ path: "/classic-both" })]);
    const cores = [];
    const heard = [];
    try {
      for (let i = 0; i < 2; i++) {
        const connection = new HubConnectionBuilder().withUrl(`${env.server}/classic-both`).configureLogging(LogLevel.None).build();
        connection.on("Counted", (value) => heard.push(value));
        connection.on("Msg", (to, text) => { // the hub is that of other checks, which send to all
          if (to === group) {
            heard.push([to, text]);
          }
        });
        cores.push(connection);
        await within(connection.start(), "start of the Core client");
        await connection.invoke("Join", group);
      }
      for (const member of members) {
        await member.invoke("Join", group);
      }
      await members[0].invoke("Counted", group, name);
      await cores[0].invoke("ToGroup", group, "from Core");
      for (const member of members) {
        equal(await member.heard.atLeast(2), [["Counted", { Name: name }], ["Msg", group, "from Core"]]);
      }
      await until(() => heard.length >= 4, "what the Core clients heard");
      equal([heard.length, heard.filter(({ Name }) => Name === name).length], [4, 2], "Core clients that heard the classic page");
      equal(await (await env.get(`/classic-encoded?name=${name}`)).json(), 2, "encodings: one for each dialect");
    } finally {
      await Promise.all(cores.map((connection) => connection.stop()));
    }
  },

  async "JSONP is refused where it is off"(env) {
    const session = env.build({ path: "/classic" });
    if (!env.jsonp) {
      const response = await env.kit.fetch(`${env.server}/classic/negotiate?clientProtocol=2.1&callback=f`);
      equal([response.status, await response.text()], [403, "Forbidden: JSONP is disabled."]);
      return;
    }
    matches((await session.refusal()).message, /^Error during negotiation request/);
  },
};
