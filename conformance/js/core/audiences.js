import { equal } from "./check.js";
import { ways } from "./env.js";

/** Messages to groups, to others and to everybody, over every way at once. */
export const audiences = {
  async "a group's message reaches its members, whatever their transport and protocol"(env) {
    const sender = await env.connect();
    const members = await everyWay(env);
    const stranger = await env.connect();
    const group = env.unique("group");
    const [hello, end] = [env.unique("hello"), env.unique("end")];
    const heard = members.map((member) => env.inbox(member, "Message", (text) => text === hello || text === end));
    const strange = env.inbox(stranger, "Message", (text) => text === hello || text === end);
    await Promise.all(members.map((member) => member.invoke("AddToGroup", group)));

    await sender.invoke("SendToGroup", group, hello);
    await sender.invoke("SendToAll", end);

    for (const inbox of heard) {
      equal(await inbox.atLeast(2), [hello, end], "a member's messages");
    }
    equal(await strange.atLeast(1), [end], "the stranger's messages");
  },

  async "who left a group hears it no more"(env) {
    const connection = await env.connect();
    const [group, end] = [env.unique("group"), env.unique("end")];
    const heard = env.inbox(connection, "Message", (text) => text.startsWith(group) || text === end);
    await connection.invoke("AddToGroup", group);
    await connection.invoke("SendToGroup", group, `${group} 1`);
    await connection.invoke("RemoveFromGroup", group);
    await connection.invoke("SendToGroup", group, `${group} 2`);
    await connection.invoke("SendToAll", end);
    equal(await heard.atLeast(2), [`${group} 1`, end]);
  },

  async "joining twice counts once, and group names are told apart by case"(env) {
    const connection = await env.connect();
    const [group, end] = [env.unique("Group"), env.unique("end")];
    const heard = env.inbox(connection, "Message", (text) => text.startsWith(group) || text === end);
    await connection.invoke("AddToGroup", group);
    await connection.invoke("AddToGroup", group);
    await connection.invoke("SendToGroup", group.toUpperCase(), `${group} upper`);
    await connection.invoke("SendToGroup", group, `${group} once`);
    await connection.invoke("SendToAll", end);
    equal(await heard.atLeast(2), [`${group} once`, end]);
  },

  async "others are all but the caller"(env) {
    const caller = await env.connect();
    const others = await everyWay(env);
    const [hello, end] = [env.unique("hello"), env.unique("end")];
    const pick = (text) => text === hello || text === end;
    const own = env.inbox(caller, "Message", pick);
    const heard = others.map((other) => env.inbox(other, "Message", pick));

    await caller.invoke("SendToOthers", hello);
    await caller.invoke("SendToAll", end);

    for (const inbox of heard) {
      equal(await inbox.atLeast(2), [hello, end], "another's messages");
    }
    equal(await own.atLeast(1), [end], "the caller's messages");
  },

  async "a connection of another path is part of the same hub"(env) {
    const caller = await env.connect();
    const transport = env.transport === "WebSockets" ? "ServerSentEvents" : env.transport;
    const protocol = transport === "ServerSentEvents" ? "json" : env.protocol;
    const elsewhere = env.over({ transport, protocol });
    const other = await elsewhere.connect({ path: "/testhub-nowebsockets" });
    const hello = env.unique("hello");
    const heard = elsewhere.inbox(other, "Message", (text) => text === hello);
    await caller.invoke("SendToAll", hello);
    equal(await heard.next(), hello);
  },
};

async function everyWay(env) {
  return Promise.all(ways.map((way) => env.over(way).connect()));
}
