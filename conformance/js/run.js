// Runs the tests of one folder against the server of SERVER_URL:
//
//	SERVER_URL="https://127.0.0.1:1;http://127.0.0.1:2" node run.js SUITE [--json] [--only=pattern]
//
// SUITE is one of node, browser, classic-node and classic-browser.
// Failures are told as they happen, the counts at the end; --json prints one object a test for a program to read.
// The exit code is 0 only when tests ran and all passed.

import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "node:test";

const longest = 8 * 60_000; // milliseconds that a whole run may take
const folder = process.argv[2];
const json = process.argv.includes("--json");
const only = process.argv.find((argument) => argument.startsWith("--only="))?.slice("--only=".length);

const suites = ["node", "browser", "classic-node", "classic-browser"];
if (!suites.includes(folder)) {
  console.error(`usage: node run.js ${suites.join("|")} [--json] [--only=pattern]`);
  process.exit(2);
}
await import("./support/server.js"); // refuses to go on without SERVER_URL
process.env.NODE_NO_WARNINGS = "1"; // each process would warn that certificates are not checked

const here = path.join(path.dirname(fileURLToPath(import.meta.url)), folder);
const files = readdirSync(here).filter((name) => name.endsWith(".test.js")).map((name) => path.join(here, name));
const abort = new AbortController();
const watchdog = setTimeout(() => stop(`not done after ${longest / 60_000} minutes`), longest);
process.once("SIGTERM", () => stop("SIGTERM"));
process.once("SIGINT", () => stop("SIGINT"));

const started = Date.now();
let passed = 0;
const failed = [];
let open = []; // the names from the outermost suite to what runs; files are reported one after the other

run({ files, concurrency: 3, signal: abort.signal, testNamePatterns: only })
  .on("test:start", ({ nesting, name }) => (open = [...open.slice(0, nesting), name]))
  .on("test:pass", (event) => tell(event, true))
  .on("test:fail", (event) => tell(event, false))
  .on("test:stdout", ({ message }) => process.stderr.write(message))
  .on("test:stderr", ({ message }) => process.stderr.write(message))
  .once("end", () => {
    clearTimeout(watchdog);
    if (!json) {
      for (const { name } of failed) {
        console.log(`failed: ${name}`);
      }
    }
    console.log(json ? JSON.stringify({ passed, failed: failed.length }) : `${passed} passed, ${failed.length} failed`);
    process.exitCode = failed.length === 0 && passed > 0 ? 0 : 1;
  })
  .resume();

function tell({ nesting, name, skip, details }, ok) {
  const error = ok ? undefined : describeError(details.error);
  if (skip !== undefined || (details.type === "suite" && (ok || details.error.failureType === "subtestsFailed"))) {
    return;
  }
  if (path.isAbsolute(name) || name.endsWith(".test.js")) {
    if (ok) {
      return; // a file, not a test
    }
    name = path.basename(name);
  }
  const result = { name: [...open.slice(0, nesting), name].join(" / "), ok, ms: Math.round(details.duration_ms), error };
  if (ok) {
    passed++;
  } else {
    failed.push(result);
  }
  if (json) {
    console.log(JSON.stringify(result));
  } else if (!ok) {
    console.log(`FAIL ${result.name} (${result.ms} ms)\n    ${error.replaceAll("\n", "\n    ")}`);
  } else if (passed % 100 === 0) {
    console.log(`${passed} passed so far, after ${Math.round((Date.now() - started) / 1000)} s`);
  }
}

function describeError(error) {
  const cause = error.cause ?? error;
  return String(cause.stack ?? cause).split("\n").filter((line) => !line.includes("node:internal")).join("\n");
}

function stop(why) {
  console.error(`run.js: stopped: ${why}`);
  abort.abort();
  setTimeout(() => process.exit(1), 5_000).unref();
}
