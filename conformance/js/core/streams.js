import { collect, equal, rejects, within } from "./check.js";

/** Streams in both directions. */
export const streams = {
  async "a stream delivers its items in order and ends"(env) {
    const connection = await env.connect();
    equal(await within(collect(connection.stream("Stream")), "Stream"), ["a", "b", "c"]);
  },

  async "streams of one connection do not mix"(env) {
    const connection = await env.connect();
    const results = await Promise.all(Array.from({ length: 20 }, () => collect(connection.stream("Stream"))));
    equal(results, Array.from({ length: 20 }, () => ["a", "b", "c"]));
  },

  async "an empty stream ends at once"(env) {
    const connection = await env.connect();
    equal(await within(collect(connection.stream("EmptyStream")), "EmptyStream"), []);
  },

  async "an exception before the stream exists is the stream's error"(env) {
    const connection = await env.connect();
    await rejects(
      collect(connection.stream("StreamThrowException", "no stream today")),
      "An unexpected error occurred invoking 'StreamThrowException' on the server. InvalidOperationException: no stream today",
    );
    equal(await connection.invoke("Echo", "still here"), "still here");
  },

  async "an unknown streaming method is the stream's error"(env) {
    const connection = await env.connect();
    await rejects(
      collect(connection.stream("noSuchStream")),
      "Failed to invoke 'noSuchStream' due to an error on the server. HubException: Method does not exist.",
    );
  },

  async "a stream ends on the server when its reader cancels it"(env) {
    const connection = await env.connect();
    const cancelled = env.inbox(connection, "StreamCanceled");
    const subscription = connection.stream("InfiniteStream").subscribe({ next() {}, complete() {}, error() {} });
    equal(await connection.invoke("Echo", "the stream runs"), "the stream runs");
    equal(cancelled.all.length, 0, "StreamCanceled before the cancel");
    subscription.dispose();
    await cancelled.next();
  },

  async "a stream that is cancelled at once has still been begun"(env) {
    const connection = await env.connect();
    const cancelled = env.inbox(connection, "StreamCanceled");
    for (let i = 1; i <= 20; i++) {
      connection.stream("InfiniteStream").subscribe({ next() {}, complete() {}, error() {} }).dispose();
      await cancelled.atLeast(i);
    }
  },

  async "an upload is read by the method to its end"(env) {
    const connection = await env.connect();
    const { Subject } = env.kit.signalR;
    const upload = new Subject();
    const result = connection.invoke("StreamingConcat", upload);
    for (const item of ["Hello", " ", "ünïcödé", "", "!"]) {
      upload.next(item);
    }
    upload.complete();
    equal(await within(result, "StreamingConcat"), "Hello ünïcödé!");
  },

  async "an upload may be empty"(env) {
    const connection = await env.connect();
    const upload = new env.kit.signalR.Subject();
    const result = connection.invoke("StreamingConcat", upload);
    upload.complete();
    equal(await within(result, "StreamingConcat"), "");
  },

  async "a long upload arrives in order, beside another one"(env) {
    const connection = await env.connect();
    const { Subject } = env.kit.signalR;
    const uploads = [new Subject(), new Subject()];
    const results = uploads.map((upload) => connection.invoke("StreamingConcat", upload));
    for (let i = 0; i < 200; i++) {
      uploads[0].next(`${i},`);
      uploads[1].next(`${-i};`);
    }
    uploads.forEach((upload) => upload.complete());
    const numbers = Array.from({ length: 200 }, (_, i) => i);
    equal(await within(Promise.all(results), "two uploads"), [
      numbers.map((i) => `${i},`).join(""),
      numbers.map((i) => `${-i};`).join(""),
    ]);
  },

  async "an upload's error becomes the method's error"(env) {
    const connection = await env.connect();
    const upload = new env.kit.signalR.Subject();
    const result = connection.invoke("StreamingConcat", upload);
    upload.next("a");
    upload.error(new Error("the reader broke"));
    await rejects(
      result,
      "An unexpected error occurred invoking 'StreamingConcat' on the server. HubException: the reader broke",
    );
    equal(await connection.invoke("Echo", "still here"), "still here");
  },

  async "a call without the upload it needs is refused"(env) {
    const connection = await env.connect();
    await rejects(
      connection.invoke("StreamingConcat"),
      "An unexpected error occurred invoking 'StreamingConcat' on the server. HubException: Client sent 0 stream(s), Hub method expects 1.",
    );
  },
};
