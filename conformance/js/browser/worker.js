// A web worker with the client's own build for workers.

importScripts("/signalr-webworker.js");

onmessage = async ({ data: base }) => {
  try {
    const connection = new signalR.HubConnectionBuilder()
      .withUrl(`${base}/testhub`)
      .configureLogging(signalR.LogLevel.None)
      .build();
    const message = new Promise((resolve) => connection.on("message", resolve));
    await connection.start();
    await connection.invoke("invokeWithString", "from a worker");
    const transport = await connection.invoke("GetActiveTransportName");
    postMessage({ message: await message, transport });
    await connection.stop();
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
