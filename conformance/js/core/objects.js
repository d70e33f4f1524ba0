import { equal } from "./check.js";

const guid = "00010203-0405-0607-0706-050403020100";

/** Objects, bytes and dates in both protocols. */
export const objects = {
  async "a small object comes back as it was"(env) {
    const connection = await env.connect();
    const objects = env.inbox(connection, "CustomObject");
    await connection.invoke("SendCustomObject", { Name: "ann", Value: -7 });
    equal(await objects.next(), { Name: "ann", Value: -7 });
  },

  async "a complex object comes back as it was"(env) {
    const connection = await env.connect();
    const object = {
      String: "Hello, World!",
      IntArray: [0x01, 0x02, 0x03, 0xff, 0x1_0000, -1, 2147483647, -2147483648],
      ByteArray: bytes(env, [0x68, 0x65, 0x6c, 0x6c, 0x6f], "aGVsbG8="),
      Guid: guid,
      DateTime: date(env, "2002-04-01T10:20:15Z"),
    };
    equal(await connection.invoke("EchoComplexObject", object), object);
  },

  async "a complex object of the server has the protocol's own forms"(env) {
    const connection = await env.connect();
    equal(await connection.invoke("SendComplexObject"), {
      String: "hello world",
      IntArray: [1, 2, 3],
      ByteArray: bytes(env, [1, 2, 3], "AQID"),
      Guid: guid,
      DateTime: date(env, "2000-01-01T00:00:00Z"),
    });
  },

  async "missing members keep their zero, unknown ones are skipped"(env) {
    const connection = await env.connect();
    const objects = env.inbox(connection, "CustomObject");
    await connection.invoke("SendCustomObject", { Value: 3, Unknown: { deep: [1, 2] } });
    const { Name, ...rest } = await objects.next();
    equal([Name ?? "", rest], ["", { Value: 3 }]); // no text is null in .NET and empty in Go
  },
};

function bytes(env, values, base64) {
  return env.protocol === "messagepack" ? new Uint8Array(values) : base64;
}

function date(env, text) {
  return env.protocol === "messagepack" ? new Date(text) : text;
}
