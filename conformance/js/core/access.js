import { equal, rejects, within } from "./check.js";

// HTTP/2, which a browser speaks over TLS, has no reason phrase.
const unauthorized = /^Failed to complete negotiation with the server: Error: (Unauthorized)?: Status code '401'$/;

/** The hub behind authorization, and the life of a connection from start to stop. */
export const access = {
  async "a good token opens the guarded hub"(env) {
    const connection = await env.connect({ path: "/authorizedhub", accessTokenFactory: () => env.token() });
    equal(await connection.invoke("Echo", "let me in"), "let me in");
    await connection.stop();
  },

  async "without a token the guarded hub answers 401 and nothing more"(env) {
    const connection = env.build({ path: "/authorizedhub" });
    await rejects(connection.start(), unauthorized);
    equal(connection.state, "Disconnected", "state");
  },

  async "a forged token does not open it"(env) {
    const token = await env.token();
    const forged = token.slice(0, -4) + (token.endsWith("AAAA") ? "BBBB" : "AAAA");
    const connection = env.build({ path: "/authorizedhub", accessTokenFactory: () => forged });
    await rejects(connection.start(), unauthorized);
  },

  async "an open hub does not mind a token"(env) {
    const connection = await env.connect({ accessTokenFactory: () => "not a token at all" });
    equal(await connection.invoke("Echo", "x"), "x");
  },

  async "stop closes without an error and fails what is under way"(env) {
    const connection = await env.connect();
    const closed = env.closed(connection);
    const pending = connection.invoke("StreamingConcat", new env.kit.signalR.Subject());
    const rejected = rejects(pending, "Invocation canceled due to the underlying connection being closed.");
    await connection.invoke("Echo", "the call is on its way");
    await connection.stop();
    equal(await within(closed, "onclose"), undefined, "error of onclose");
    equal(connection.state, "Disconnected", "state");
    await rejected;
  },

  async "a stopped connection starts again under a new id"(env) {
    const connection = await env.connect();
    const first = connection.connectionId;
    await connection.stop();
    await within(connection.start(), "second start");
    equal(connection.connectionId === first, false, "the second id is the first one");
    equal(await connection.invoke("Echo", "again"), "again");
  },
};
