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
 * Opens a page of this folder in a context of its own, with its own cookies, on the origin of a server: an answer of that server
 * makes way for the page, whose scripts are found below /pages/, for which the browser never asks the server.
 */
export async function openPage(browser, origin, file, query) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  await context.route(`${origin}/pages/**`, async (route) => {
    const name = path.join(root, new URL(route.request().url()).pathname.slice("/pages/".length));
    await route.fulfill({ contentType: "text/javascript; charset=utf-8", body: await readFile(name) });
  });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${origin}/classic/ping?${query}`);
  await page.setContent((await readFile(path.join(root, file), "utf8")).replace("BASE", `${origin}/pages/${path.dirname(file)}/`));
  await page.waitForFunction(() => window.runCheck !== undefined);
  await context.unrouteAll();
  return { page, errors, close: () => context.close() };
}
