import { equal, until } from "../core/check.js";

/** What goes with every HTTP request of a connection. */
export const requests = {
  async "the query of the application goes with every request"(env) {
    const [tag, own] = [env.unique("tag"), "a b&c=d é;x"];
    const session = env.build({ qs: { tag, own } });
    await session.start();
    equal((await session.invoke("Caller")).Query, own);
    await session.invoke("ToCaller", { Name: "n" });
    await session.heard.next();
    session.stop();
    const list = await until(async () => {
      const all = await env.requests(tag);
      return all.some(({ path }) => path.endsWith("/abort")) && all;
    }, "the abort");
    const commands = new Set(list.map(({ path }) => path.slice(path.lastIndexOf("/") + 1)));
    const more = { longPolling: ["poll", "send"], webSockets: [] }[env.effective] ?? ["send"];
    equal([...commands].sort(), ["negotiate", "connect", "start", "abort", ...more].sort(), "commands");
    for (const { path, query } of list) {
      equal([query.own, query.clientProtocol, query.connectionData], [own, "2.1", '[{"name":"refhub"}]'], `query of ${path}`);
    }
  },

  async "a ping goes out now and then"(env) {
    const tag = env.unique("tag");
    const session = env.build({ qs: { tag } });
    await session.start({ pingInterval: 100 });
    await until(async () => (await env.requests(tag)).filter(({ path }) => path.endsWith("/ping")).length >= 2, "two pings");
    equal([session.connection.state, session.errors], [1, []], "state and errors");
  },

  async "the client is sent elsewhere, with a token for there"(env) {
    if (env.jsonp) {
      return; // has no token
    }
    const tag = env.unique("tag");
    const token = env.transport === "foreverFrame" ? "" : await env.token();
    const to = `${env.base}/classic?tag=${tag}&own=redirected`;
    const session = await env.open({ path: "/classic-redirect/signalr", qs: { to, with: token } });
    const { Query, User } = await session.invoke("Caller");
    equal([Query, User], ["redirected", token ? "testuser" : ""]);
    for (const { path, query, headers } of await env.requests(tag)) {
      if (token) {
        equal(headers.authorization === `Bearer ${token}` || query.access_token === token, true, `a token with ${path}`);
      }
    }
  },

  async "an error of the other server is told"(env) {
    if (env.jsonp) {
      return;
    }
    const session = env.build({ path: "/classic-redirect/signalr", qs: { fail: "no room" } });
    equal((await session.refusal()).message, "Error message received from the server: 'no room'.");
  },
};
