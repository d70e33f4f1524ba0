// Brings node_modules to what package-lock.json names, unless it is that already. Prints a line only when it does something.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const stamp = path.join(here, "node_modules", ".installed-lock");
const want = createHash("sha256").update(readFileSync(path.join(here, "package-lock.json"))).digest("hex");

if (installed() !== want) {
  console.log("npm ci in conformance/js");
  const { status, error } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: here,
    stdio: "inherit",
    shell: process.platform === "win32",
    timeout: 5 * 60_000,
  });
  if (error || status !== 0) {
    console.error(`npm ci in conformance/js: ${error ? error.message : `exit code ${status}`}`);
    process.exit(1);
  }
  writeFileSync(stamp, want);
}

function installed() {
  try {
    return readFileSync(stamp, "utf8");
  } catch {
    return "";
  }
}
