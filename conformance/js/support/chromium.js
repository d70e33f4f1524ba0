import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Starts headless Chromium, of /usr/bin or of the environment's CHROMIUM. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
    timeout: 30_000,
  });
}

/**
 * Opens a file of this folder in a context of its own, with its own cookies, as if it were on that origin, below /pages/. The
 * browser never asks the origin for it, so that the page and a server can share one.
 */
export async function openPage(browser, origin, file) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  await context.route(`${origin}/pages/**`, async (route) => {
    const name = path.join(root, new URL(route.request().url()).pathname.slice("/pages/".length));
    const contentType = name.endsWith(".html") ? "text/html; charset=utf-8" : "text/javascript; charset=utf-8";
    await route.fulfill({ contentType, body: await readFile(name) });
  });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${origin}/pages/${file}`);
  await page.waitForFunction(() => window.runCheck !== undefined);
  await context.unrouteAll();
  return { page, errors, close: () => context.close() };
}
