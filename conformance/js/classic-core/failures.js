import { equal, matches } from "../core/check.js";

/** Calls that fail. */
export const failures = {
  async "errors are generic unless meant for the client"(env) {
    const session = await env.open();
    const generic = (method) => `There was an error invoking Hub method 'refhub.${method}'.`;
    for (const [method, ...args] of [["Throw"], ["Panic"], ["NoSuch"], ["Echo"], ["Add", 1], ["Add", {}, 2], ["Add", "x", 2], ["Closed"], ["Stream"]]) {
      const error = await session.failure(method, ...args);
      equal([error.message, error.source, error.data ?? null], [generic(method), "Exception", null], `error of ${method}`);
    }
  },

  async "errors that are meant for the client come with their data"(env) {
    const session = await env.open();
    const plain = await session.failure("HubThrow", "hub <boom> é");
    equal([plain.message, plain.source, plain.data ?? null], ["hub <boom> é", "HubException", null]);
    const full = await session.failure("HubThrowData", 42);
    equal([full.message, full.source, full.data], ["hub boom", "HubException", { Code: 42, Why: "because" }]);
  },

  async "what the dialect lacks is said"(env) {
    const session = await env.open();
    equal((await session.failure("Ask")).message, "classic SignalR clients cannot return results");
  },

  async "a hub with detailed errors says what went wrong"(env) {
    const session = await env.open({ hubs: ["DetailHub"] });
    equal((await session.failure("Throw")).message, "boom");
    equal((await session.failure("NoSuch")).message, "'NoSuch' method could not be resolved. No method found with that name.");
    matches((await session.failure("Add", 1)).message, /^'Add' method could not be resolved\./);
    equal((await session.failure("Closed")).message, "Caller is not authorized to invoke the Closed method on DetailHub.");
  },

  async "the connection outlives failed calls"(env) {
    const session = await env.open();
    for (let i = 0; i < 5; i++) {
      await session.failure("Throw");
    }
    equal(await session.invoke("Echo", "alive"), "alive");
    equal(session.states, ["connecting", "connected"], "states");
  },
};
