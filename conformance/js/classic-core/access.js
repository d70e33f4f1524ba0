import { equal, matches } from "../core/check.js";

/** Users, and hubs that are not for everybody. */
export const access = {
  async "a hub for users refuses who has no token, at the start"(env) {
    const session = env.build({ hubs: ["AuthHub"] });
    await refused(env, session, 401);
  },

  async "a hub for members refuses a user who is none, at the start"(env) {
    const session = env.build({ hubs: ["MemberHub"], qs: { access_token: await env.token() } });
    await refused(env, session, 403);
  },

  async "a broken token is as good as none"(env) {
    const session = env.build({ hubs: ["AuthHub"], qs: { access_token: "broken" } });
    await refused(env, session, 401);
  },

  async "a token in the query makes the user, on every request"(env) {
    const session = await env.open({ hubs: ["AuthHub"], qs: { access_token: await env.token() } });
    equal((await session.invoke("Caller")).User, "testuser");
    equal(await session.invoke("Closed"), "open");
  },

  async "the hubs that are refused are left out"(env) {
    const session = await env.open({ hubs: ["RefHub", "AuthHub"] });
    equal(await env.events(session.id), ["RefHub connected"], "events");
    let message;
    try {
      await session.hubs.AuthHub.invoke("Echo", "x");
    } catch (error) {
      ({ message } = error);
    }
    equal(message, "There was an error invoking Hub method 'authhub.Echo'.");
  },

  async "the user cannot change while connected"(env) {
    const session = await env.open({ qs: { access_token: await env.token() } });
    session.connection.qs = {};
    if (env.effective === "webSockets") {
      equal((await session.invoke("Caller")).User, "testuser"); // the socket stays what it was
      return;
    }
    matches((await session.failure("Echo", "x")).message, /Send failed|Unrecognized user identity|error|jsonp/i);
  },
};

async function refused(env, session, want) {
  const { message, status } = await session.refusal();
  if (!env.exact) { // neither a script element nor the client without jQuery tells why it has failed
    matches(message, /^Error during negotiation request/);
    return;
  }
  equal([message, status], ["Error during negotiation request.", want]);
  equal(session.connection.state, 4, "state");
}
