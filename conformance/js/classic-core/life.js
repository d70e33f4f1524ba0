import { equal, matches, within } from "../core/check.js";

/** The beginning and the end of connections. */
export const life = {
  async "a stop ends the connection on both sides at once"(env) {
    const session = await env.open();
    const { id } = session;
    session.stop();
    equal(session.states.at(-1), "disconnected", "state");
    const raised = env.exact ? session.raised : session.raised.slice(-1); // without jQuery the poll that is given up is an error
    equal(raised, ["disconnected"], "events");
    equal(await session.noted("RefHub stopped", id, 3_000), ["RefHub connected", "RefHub stopped"]);
  },

  async "a call that waits ends with the connection"(env) {
    const session = await env.open();
    const { id } = session;
    const failed = session.failure("Hang", 60_000);
    session.stop();
    matches((await failed).message, /^Connection was disconnected before invocation result was received\.|^Send failed\.|abort/, "error");
    await session.noted("RefHub stopped", id, 3_000);
  },

  async "a stopped connection starts again under a new id"(env) {
    const session = await env.open();
    const first = session.id;
    session.stop();
    await session.start();
    equal(session.id === first, false, "the new id is the old one");
    equal(await session.invoke("Echo", "again"), "again");
    const states = session.states.filter((state) => env.exact || state !== "reconnecting");
    equal(states, ["connecting", "connected", "disconnected", "connecting", "connected"], "states");
  },

  async "the server ends a connection for good"(env) {
    const session = await env.open();
    const { id } = session;
    session.hub.invoke("Abort").then(undefined, () => undefined);
    // A client that does not poll at the moment hears no reason: its next polls are refused until it gives up, after 30 s.
    await session.event("disconnected", env.streaming ? 25_000 : 45_000);
    if (env.streaming) {
      equal(session.errors.includes("The server has ended the connection."), true, `the reason is among ${JSON.stringify(session.errors)}`);
    }
    equal(session.raised.includes("reconnected"), false, "the client reconnected");
    equal((await session.noted("RefHub stopped", id, 3_000)).length, 2, "events of the server");
  },

  async "a hub that cannot be is refused before anything else"(env) {
    const session = env.build({ hubs: ["NoHub"] });
    const { message, status } = await session.refusal();
    if (!env.exact) {
      matches(message, /^Error during negotiation request/);
      return;
    }
    equal([message, status], ["Error during negotiation request.", 500]);
  },

  async "ten connections of one client live side by side"(env) {
    // A browser opens six connections to a host, and streams take one each.
    const sessions = await Promise.all(Array.from({ length: env.effective === "webSockets" ? 10 : 3 }, () => env.open()));
    const ids = await Promise.all(sessions.map((session) => session.invoke("Caller")));
    equal(ids.map(({ Id }) => Id), sessions.map(({ id }) => id), "ids");
    equal(new Set(sessions.map(({ id }) => id)).size, sessions.length, "different ids");
    await within(Promise.all(sessions.map(async (session) => {
      const { id } = session;
      session.stop();
      await session.noted("RefHub stopped", id);
    })), "the end of all");
  },
};
