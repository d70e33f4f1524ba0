import { equal, matches, rejects, within } from "./check.js";

/** Calls of hub methods and their results. */
export const calls = {
  async "echo returns each string as it was"(env) {
    const connection = await env.connect();
    for (const text of ["", "plain", "ünïcödé € 漢字", "😀🚀", "line\r\nbreak\ttab", "\u0000\u001e\u2028", "\"quoted\" \\ </script>", null]) {
      equal(await connection.invoke("Echo", text), text, `Echo(${JSON.stringify(text)})`);
    }
  },

  async "a hundred calls at once each get their own result"(env) {
    const connection = await env.connect();
    const texts = Array.from({ length: 100 }, (_, i) => `call ${i}`);
    equal(await Promise.all(texts.map((text) => connection.invoke("Echo", text))), texts);
  },

  async "method names are found whatever their case"(env) {
    const connection = await env.connect();
    equal(await connection.invoke("eCHO", "x"), "x");
    equal(await connection.invoke("getcallerconnectionid"), connection.connectionId);
  },

  async "paths are found whatever their case"(env) {
    const connection = await env.connect({ path: "/TestHub" });
    equal(await connection.invoke("Echo", "x"), "x");
  },

  async "the method knows the connection id that the client was given"(env) {
    const connection = await env.connect();
    equal(await connection.invoke("GetCallerConnectionId"), connection.connectionId);
    matches(connection.connectionId, /^[A-Za-z0-9_-]{22}$/, "connection id");
  },

  async "the method knows the transport"(env) {
    const connection = await env.connect();
    equal(await connection.invoke("GetActiveTransportName"), env.transport);
  },

  async "a message sent inside a call arrives before its completion"(env) {
    const connection = await env.connect();
    const text = env.unique();
    const messages = env.inbox(connection, "Message", (message) => message === text);
    const result = await connection.invoke("InvokeWithString", text);
    equal(messages.all, [text], "messages when the call had completed");
    equal(result ?? null, null, "result of a method without one");
  },

  async "send runs the method and does not wait for it"(env) {
    const connection = await env.connect();
    const text = env.unique();
    const messages = env.inbox(connection, "Message", (message) => message === text);
    await connection.send("InvokeWithString", text);
    equal(await messages.next(), text);
  },

  async "a client handler is found whatever its case"(env) {
    const connection = await env.connect();
    const text = env.unique();
    const messages = env.inbox(connection, "mESSAGE", (message) => message === text);
    await connection.send("InvokeWithString", text);
    equal(await messages.next(), text);
  },

  async "a message without a handler disturbs nothing"(env) {
    const connection = await env.connect();
    await connection.invoke("InvokeWithString", "nobody listens");
    equal(await connection.invoke("Echo", "still here"), "still here");
  },

  async "two thousand messages arrive in the order sent"(env) {
    const connection = await env.connect();
    const items = env.inbox(connection, "Item");
    await within(connection.invoke("SendSequence", 2000), "SendSequence");
    equal(items.all, Array.from({ length: 2000 }, (_, i) => i), "items when the call had completed");
  },

  async "an exception of a method reaches its caller alone"(env) {
    const connection = await env.connect();
    await rejects(
      connection.invoke("ThrowException", "a bad thing"),
      "An unexpected error occurred invoking 'ThrowException' on the server. InvalidOperationException: a bad thing",
    );
    equal(await connection.invoke("Echo", "still here"), "still here");
  },

  async "an unknown method is named as it was sent"(env) {
    const connection = await env.connect();
    await rejects(
      connection.invoke("noSuchMethod"),
      "Failed to invoke 'noSuchMethod' due to an error on the server. HubException: Method does not exist.",
    );
    equal(await connection.invoke("Echo", "still here"), "still here");
  },

  async "too many and too few arguments are counted"(env) {
    const connection = await env.connect();
    await rejects(
      connection.invoke("Echo", "a", "b"),
      "Failed to invoke 'Echo' due to an error on the server. InvalidDataException: Invocation provides 2 argument(s) but target expects 1.",
    );
    await rejects(
      connection.invoke("ECHO"),
      "Failed to invoke 'Echo' due to an error on the server. InvalidDataException: Invocation provides 0 argument(s) but target expects 1.",
    );
    equal(await connection.invoke("Echo", "still here"), "still here");
  },

  async "an argument of the wrong type is refused"(env) {
    const connection = await env.connect();
    const refused = (method) =>
      `Failed to invoke '${method}' due to an error on the server. InvalidDataException: Error binding arguments. ` +
      "Make sure that the types of the provided values match the types of the hub method being invoked.";
    await rejects(connection.invoke("Echo", 42), refused("Echo"));
    await rejects(connection.invoke("Echo", { a: 1 }), refused("Echo"));
    await rejects(connection.invoke("SendSequence", "many"), refused("SendSequence"));
    equal(await connection.invoke("Echo", "still here"), "still here");
  },

  async "a streaming method needs a streaming call, and the other way round"(env) {
    const connection = await env.connect();
    await rejects(
      connection.invoke("Stream"),
      "The client attempted to invoke the streaming 'Stream' method with a non-streaming invocation.",
    );
    const stream = connection.stream("Echo", "x");
    await rejects(
      new Promise((resolve, reject) => stream.subscribe({ next: resolve, complete: resolve, error: reject })),
      "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.",
    );
  },
};
