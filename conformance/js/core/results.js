import { equal, matches, within } from "./check.js";

/** Client results: the server calls the client and waits for its answer. */
export const results = {
  async "the server gets what the client's handler returns"(env) {
    const connection = await env.connect();
    connection.on("Result", () => 10);
    const response = await ask(env, connection.connectionId);
    equal(response.body, "10");
    matches(response.type, /^text\/plain; ?charset=utf-8$/i, "content type");
  },

  async "the handler may be asynchronous and the name of any case"(env) {
    const connection = await env.connect();
    connection.on("rESULT", async () => {
      await connection.invoke("Echo", "a call inside a client result");
      return -2147483648;
    });
    equal((await ask(env, connection.connectionId)).body, "-2147483648");
  },

  async "several questions at once each get an answer"(env) {
    const connection = await env.connect();
    const questions = env.kit.inBrowser ? 3 : 20; // a browser has six connections to a host, and the answers need some
    let count = 0;
    connection.on("Result", () => ++count);
    const answers = await Promise.all(Array.from({ length: questions }, () => ask(env, connection.connectionId)));
    equal(
      answers.map((answer) => Number(answer.body)).sort((a, b) => a - b),
      Array.from({ length: questions }, (_, i) => i + 1),
    );
  },

  async "a handler that throws is told to the server"(env) {
    const connection = await env.connect();
    connection.on("Result", () => {
      throw new Error("not today");
    });
    equal((await ask(env, connection.connectionId)).body, "Error: not today");
  },

  async "a client without a handler says so"(env) {
    const connection = await env.connect();
    equal((await ask(env, connection.connectionId)).body, "Client didn't provide a result.");
    equal(await connection.invoke("Echo", "still here"), "still here");
  },

  async "an answer of the wrong type is an error on the server and nothing else"(env) {
    const connection = await env.connect();
    connection.on("Result", () => "text");
    matches((await ask(env, connection.connectionId)).body, /^Error trying to deserialize result to Int32\. /);
    equal(await connection.invoke("Echo", "still here"), "still here");
  },

  async "nobody answers for an unknown connection"(env) {
    equal((await ask(env, "nobody-has-this-id")).body, "Connection 'nobody-has-this-id' does not exist.");
  },

  async "a connection that ends leaves its question unanswered"(env) {
    const connection = await env.connect();
    const id = connection.connectionId;
    let asked;
    const question = new Promise((resolve) => (asked = resolve));
    connection.on("Result", () => {
      asked();
      return new Promise(() => undefined);
    });
    const answer = ask(env, id);
    await within(question, "the question");
    await connection.stop();
    equal((await answer).body, `Connection '${id}' disconnected.`);
  },
};

async function ask(env, id) {
  const response = await within(env.fetch(`/clientresult/${id}`), "GET /clientresult");
  equal(response.status, 200, "status");
  return { body: await response.text(), type: response.headers.get("content-type") };
}
