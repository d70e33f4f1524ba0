// Where the server under test listens: SERVER_URL="<https url>;<http url>".

process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"; // the server's certificate is its own

const urls = (process.env.SERVER_URL ?? "").split(";").map((url) => url.trim().replace(/\/+$/, ""));
if (urls.length !== 2 || !urls[0].startsWith("https://") || !urls[1].startsWith("http://")) {
  console.error(`SERVER_URL is ${JSON.stringify(process.env.SERVER_URL ?? "")}, want "https://host:port;http://host:port"`);
  process.exit(2);
}

/** The two base URLs of the server under test. */
export const server = { https: urls[0], http: urls[1] };
