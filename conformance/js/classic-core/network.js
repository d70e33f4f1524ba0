import { equal, matches, until } from "../core/check.js";

/** Forever frames do not tell of a lost connection: their client waits until it has missed a keep-alive. */
const pathOf = (env) => (env.transport === "foreverFrame" ? "/classic-brisk" : env.path);

const items = (from, to) => Array.from({ length: to - from }, (_, i) => ["Item", from + i]);

/** What a network does to connections. These checks cut theirs. */
export const network = {
  async "a cut connection comes back with its id and its groups, and has missed nothing"(env) {
    const session = await env.open({ path: pathOf(env) });
    const [{ id }, group] = [session, env.unique("group")];
    await session.invoke("Join", group);
    await env.publish(group, 0, 10);
    await session.heard.atLeast(10);
    await env.kit.cut();
    await env.publish(group, 10, 20);
    if (env.streaming) { // browsers send a poll again whose connection is reset before its answer, and nobody notices
      await session.event("reconnecting");
    }
    await env.publish(group, 20, 30);
    if (env.streaming) {
      await session.event("reconnected");
    }
    await env.publish(group, 30, 40);
    equal(await session.heard.atLeast(40), items(0, 40));
    equal(session.id, id, "id");
    equal(await session.invoke("Echo", "alive"), "alive");
    if (env.streaming) {
      const [first, ...rest] = await session.noted("RefHub reconnected");
      equal(first, "RefHub connected", "first note");
      // A forever frame that notices its loss twice, by its load event and by the missed keep-alive, asks for a second frame too.
      const twice = env.transport === "foreverFrame";
      equal(twice ? rest.slice(0, 1) : rest, ["RefHub reconnected"], "other notes");
      const states = twice ? session.states.slice(0, 4) : session.states;
      equal(states, ["connecting", "connected", "reconnecting", "connected"], "states");
    }
  },

  async "cuts in the middle of a flood lose nothing, double nothing, and keep the order"(env) {
    const session = await env.open({ path: pathOf(env) });
    const group = env.unique("group");
    await session.invoke("Join", group);
    let sent = 0;
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 6; i++) {
        const publishing = env.publish(group, sent, sent + 50);
        sent += 50;
        if (i === 3) {
          await env.kit.cut();
        }
        await publishing;
      }
      if (env.streaming) { // a cut between two polls is nothing that the client could notice
        await until(() => session.raised.filter((name) => name === "reconnected").length > round, `reconnect ${round + 1}`);
      }
    }
    equal(await session.heard.atLeast(sent), items(0, sent));
  },

  async "a network that stays away for a while is waited for"(env) {
    const session = await env.open({ path: pathOf(env) });
    const group = env.unique("group");
    await session.invoke("Join", group);
    await env.kit.refuse(true);
    await env.kit.cut();
    await session.event("reconnecting");
    await env.publish(group, 0, 3);
    await new Promise((resolve) => setTimeout(resolve, 2_500)); // the first attempts must fail
    await env.kit.refuse(false);
    await session.event("reconnected");
    equal(await session.heard.atLeast(3), items(0, 3));
  },

  async "a restarted server with the same keys takes its clients back, with their groups"(env) {
    for (const how of ["?gently", ""]) {
      const [name, group] = [env.unique("life"), env.unique("group")];
      const session = await env.open({ path: `/classic-life/${name}` });
      const { id } = session;
      await session.invoke("Join", group);
      await env.publish(group, 0, 3, name);
      await session.heard.atLeast(3);
      if (how === "") {
        await env.kit.refuse(true);
        await env.kit.cut();
        await session.event("reconnecting");
      }
      await env.get(`/classic-restart/${name}${how}`, "POST");
      await env.kit.refuse(false);
      await session.noted("RefHub reconnected", id);
      if (env.streaming) { // a poll finds the new server without any error
        await session.event("reconnected");
      }
      await env.publish(group, 3, 6, name);
      equal(await session.heard.atLeast(6), items(0, 6), `messages${how}`);
      equal([session.id, await session.invoke("Echo", "alive")], [id, "alive"]);
      session.stop();
      await session.noted("RefHub stopped", id);
    }
  },

  async "a call that a cut has caught fails, and later ones do not"(env) {
    const session = await env.open({ path: pathOf(env) });
    await session.invoke("Echo", "before");
    const failed = session.failure("Hang", 2_500);
    await env.kit.cut();
    if (env.effective === "webSockets") {
      equal((await failed).message, "Connection started reconnecting before invocation result was received.");
    } else {
      await failed.catch(() => undefined); // browsers send a POST again whose connection is reset before its answer
    }
    if (env.streaming) {
      await session.event("reconnected");
    }
    equal(await session.invoke("Echo", "after"), "after");
  },

  async "a server out of reach is given up when its disconnect timeout is over"(env) {
    const session = await env.open({ path: "/classic-short" });
    const { id } = session;
    await env.kit.refuse(true);
    await env.kit.cut();
    await session.event("reconnecting");
    const began = Date.now();
    await session.event("disconnected");
    const waited = Date.now() - began;
    equal(waited > 5_000 && waited < 9_000, true, `given up after ${waited} ms, want about 6,000`);
    const text = "Couldn't reconnect within the configured timeout of 6000 ms, disconnecting.";
    equal(session.errors.includes(text), true, `that text is among ${JSON.stringify(session.errors)}`);
    equal(await session.noted("RefHub lost", id), ["RefHub connected", "RefHub lost"]);
  },

  async "silence is noticed, and a server that speaks is not called silent"(env) {
    const session = await env.open({ path: "/classic-brisk" });
    const group = env.unique("group");
    await session.invoke("Join", group);
    await new Promise((resolve) => setTimeout(resolve, 5_000)); // longer than the keep-alive timeout of 4 s
    // On a busy machine a keep-alive may be late enough for a warning.
    equal([session.raised.includes("reconnecting"), session.errors], [false, []], "reconnecting, and errors, of an idle connection");
    if (!env.streaming) {
      return; // polls have no keep-alive
    }
    await env.kit.freeze(true);
    await env.publish(group, 0, 3); // a busy page may go from well to lost without the warning between
    await session.event("reconnecting");
    await env.kit.freeze(false);
    await session.event("reconnected");
    equal(await session.heard.atLeast(3), items(0, 3));
    equal(session.raised.slice(-2), ["reconnecting", "reconnected"], "events");
  },

  async "a call above 64 KiB ends a WebSocket, and other transports take it"(env) {
    const session = await env.open();
    equal(await session.invoke("Length", "x".repeat(60_000)), 60_000);
    if (env.effective !== "webSockets") {
      equal(await session.invoke("Length", "x".repeat(150_000)), 150_000);
      return;
    }
    matches((await session.failure("Length", "x".repeat(66_000))).message, /reconnect/i);
    await session.event("reconnected");
    equal(await session.invoke("Length", "x"), 1);
  },
};
