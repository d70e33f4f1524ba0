import { equal, matches } from "../core/check.js";

/** Calls of hub methods: what goes there, and what comes back. */
export const calls = {
  async "a connection has its id, its transport and its token"(env) {
    const session = await env.open();
    matches(session.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "connection id");
    equal(session.connection.transport.name, env.effective, "transport");
    equal(session.states, ["connecting", "connected"], "states");
    const caller = await session.invoke("Caller");
    equal(caller.Id, session.id, "the id that the server knows");
    equal(caller.Transport, env.effective, "the transport that the server knows");
    equal(session.errors, [], "errors");
  },

  async "results of every kind come back"(env) {
    const session = await env.open();
    for (const text of ["", "plain", "hi<>&'é", "</script><script>", "\u2028\u2029", "😀 \u0000 \"\\", "a\nb\r\n: data: x"]) {
      equal(await session.invoke("Echo", text), text);
    }
    equal((await session.invoke("Echo", null)) ?? null, null, "null");
    equal((await session.invoke("Nothing")) ?? null, null, "nothing");
    equal(await session.invoke("Add", 1, -5), -4);
    equal(await session.invoke("Join3", "x", true, 1.5), ["x", true, 1.5]);
  },

  async "objects keep the names of their fields"(env) {
    const session = await env.open();
    const inner = { Name: "inner", Number: -1, Real: 0.25, Tags: [], Inner: null, Data: "" };
    const thing = { Name: "outer", Number: 7, Real: 1e21, Tags: ["a", "é"], Inner: inner, Data: "AQID" };
    equal(await session.invoke("EchoThing", thing), thing);
    equal((await session.invoke("EchoThing", { name: "folded", NUMBER: 3, unknown: [1] })).Name, "folded");
    await session.invoke("ToCaller", thing);
    equal(await session.heard.next(), ["Thing", thing, null, 1.5]);
  },

  async "names of hubs and methods are matched without regard to case"(env) {
    const session = await env.open({ hubs: ["rEFHub"] });
    equal(await session.invoke("eCHO", "x"), "x");
    await session.invoke("TOCALLER", { Name: "n" });
    equal((await session.heard.next())[1].Name, "n");
  },

  async "fifty calls at once get their own answers"(env) {
    const session = await env.open();
    const numbers = Array.from({ length: 50 }, (_, i) => i);
    equal(await Promise.all(numbers.map((i) => session.invoke("Add", i, 1000))), numbers.map((i) => i + 1000));
  },

  async "a hub without handlers can be called, and has no events"(env) {
    const session = await env.open({ on: [] });
    equal(await session.invoke("Echo", "x"), "x");
    equal(await env.events(session.id), [], "events");
  },

  async "two hubs share one connection"(env) {
    const session = await env.open({ hubs: ["RefHub", "DetailHub"] });
    equal(await session.invoke("Echo", "one"), "one");
    equal(await session.hubs.DetailHub.invoke("Echo", "two"), "two");
    equal((await env.events(session.id)).sort(), ["DetailHub connected", "RefHub connected"]);
  },

  async "a big result arrives"(env) {
    const session = await env.open();
    const text = await session.invoke("Repeat", "äbc<", 50_000);
    equal(text.length, 200_000, "length");
    equal(text.slice(-4), "äbc<");
  },

  async "progress is told in order, before the result"(env) {
    const session = await env.open();
    const told = [];
    const call = session.hub.invoke("Progress", 20);
    call.progress((value) => told.push(value));
    equal(await call, "done");
    const all = Array.from({ length: 20 }, (_, i) => i);
    // Over polls the result goes another way than what is told, and may overtake the rest of it.
    equal(told, env.effective === "webSockets" ? all : all.slice(0, told.length), "what was told");
  },

  async "state goes there with a call and comes back changed"(env) {
    const session = await env.open();
    session.hub.state.color = "blue";
    equal(await session.invoke("State", "red"), "blue");
    equal({ ...session.hub.state }, { color: "red", count: 5 }, "state");
    equal(await session.heard.next(), ["Msg", "state", "blue"]);
    equal(await session.invoke("State", "green"), "red");
    equal(session.hub.state.color, "green");
  },
};
