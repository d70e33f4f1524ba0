import { equal, until } from "../core/check.js";

/** Who hears what. */
export const audiences = {
  async "a group's message reaches its members, and nobody else"(env) {
    const [a, b, stranger] = await Promise.all([env.open(), env.open(), env.open()]);
    const [group, hello, end] = [env.unique("group"), env.unique("hello"), env.unique("end")];
    await a.invoke("Join", group);
    await b.invoke("Join", group);
    await b.invoke("Join", group); // counts once
    await stranger.invoke("ToGroup", group, hello);
    await stranger.invoke("ToGroup", group.toUpperCase(), "another group");
    for (const session of [a, b, stranger]) {
      await stranger.invoke("ToClient", session.id, end);
      const want = session === stranger ? [["Msg", session.id, end]] : [["Msg", group, hello], ["Msg", session.id, end]];
      equal(await session.heard.atLeast(want.length), want);
    }
  },

  async "who left a group hears it no more"(env) {
    const session = await env.open();
    const group = env.unique("group");
    await session.invoke("Join", group);
    await session.invoke("ToGroup", group, "1");
    await session.invoke("Leave", group);
    await session.invoke("ToGroup", group, "2");
    await session.invoke("ToClient", session.id, "end");
    equal(await session.heard.atLeast(2), [["Msg", group, "1"], ["Msg", session.id, "end"]]);
  },

  async "all are all, and others are all but the caller"(env) {
    const [a, b] = await Promise.all([env.open(), env.open()]);
    const [others, all] = [env.unique("others"), env.unique("all")];
    await a.invoke("ToOthers", others);
    await a.invoke("ToAll", all);
    for (const [session, want] of [[a, [all]], [b, [others, all]]]) {
      await until(() => session.broadcast.all.includes(all), "the message to all");
      equal(session.broadcast.all.filter((text) => text === others || text === all), want);
    }
  },

  async "a user hears on every connection"(env) {
    const qs = { access_token: await env.token() };
    const [a, b, stranger] = await Promise.all([env.open({ qs }), env.open({ qs }), env.open()]);
    const hello = env.unique("hello");
    equal((await a.invoke("Caller")).User, "testuser");
    await stranger.invoke("ToUser", "testuser", hello);
    for (const session of [a, b]) {
      await until(() => session.heard.all.some(([, , text]) => text === hello), "the message to the user");
    }
    await stranger.invoke("ToClient", stranger.id, "end");
    equal((await stranger.heard.next())[2], "end", "the stranger's first message");
  },

  async "a hub that is not listed is not heard"(env) {
    const session = await env.open({ hubs: ["DetailHub"] });
    const other = await env.open();
    const text = env.unique("text");
    await other.invoke("ToAll", text);
    await session.invoke("ToClient", session.id, "end");
    equal((await session.heard.next())[2], "end", "the first message");
  },

  async "2,000 messages come once and in order"(env) {
    const session = await env.open();
    await session.invoke("Sequence", 2000);
    equal(await session.heard.atLeast(2000), Array.from({ length: 2000 }, (_, i) => ["Item", i]));
  },
};
