// Checks that run alike in Node and in a browser page.

/** How long a single expected thing may take, in milliseconds. */
export const patience = 25_000;

/** Fails unless got and want are the same value, looking into arrays, objects, dates and bytes. */
export function equal(got, want, what = "value") {
  if (!same(got, want)) {
    throw new Error(`${what}: got ${show(got)}, want ${show(want)}`);
  }
}

/** Fails unless text matches pattern. */
export function matches(text, pattern, what = "text") {
  if (typeof text !== "string" || !pattern.test(text)) {
    throw new Error(`${what}: got ${show(text)}, want a match of ${pattern}`);
  }
}

/** Fails unless the promise is rejected with exactly this message, or with one that matches the pattern. */
export async function rejects(promise, want, what = "error") {
  let result;
  try {
    result = await within(promise, what);
  } catch (error) {
    if (error instanceof Overdue) {
      throw error;
    }
    if (want instanceof RegExp) {
      matches(error.message, want, what);
    } else {
      equal(error.message, want, what);
    }
    return;
  }
  throw new Error(`${what}: got the result ${show(result)}, want a rejection with ${show(String(want))}`);
}

/** The error of a wait that took too long. */
export class Overdue extends Error {}

/** Waits for a promise, but no longer than ms. */
export async function within(promise, what, ms = patience) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Overdue(`${what}: nothing came within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Calls probe until it returns something true, and returns that. */
export async function until(probe, what, ms = patience) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await probe();
    if (found) {
      return found;
    }
    if (Date.now() > end) {
      throw new Overdue(`${what}: not so within ${ms} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A queue of what arrived; next() waits for the oldest one that nobody has taken yet. */
export class Inbox {
  #waiting = [];
  #taken = 0;

  /** Everything that ever arrived, in order. */
  all = [];

  constructor(what) {
    this.what = what;
  }

  put(value) {
    this.all.push(value);
    this.#waiting.shift()?.();
  }

  async next(ms = patience) {
    if (this.all.length <= this.#taken) {
      await within(new Promise((resolve) => this.#waiting.push(resolve)), this.what, ms);
    }
    return this.all[this.#taken++];
  }

  /** Waits until count things have arrived in all and returns them. */
  async atLeast(count, ms = patience) {
    await until(() => this.all.length >= count, `${this.what}: ${count} of them`, ms).catch((error) => {
      throw new Overdue(`${error.message}, only ${this.all.length} came`);
    });
    return this.all;
  }
}

/** Collects a stream to its end: the items, or a rejection with the stream's error. */
export function collect(stream) {
  return new Promise((resolve, reject) => {
    const items = [];
    stream.subscribe({
      next: (item) => items.push(item),
      complete: () => resolve(items),
      error: reject,
    });
  });
}

/** A string nobody else uses, so that messages of tests that run side by side can be told apart. */
export function unique(prefix = "u") {
  return `${prefix}-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
}

function same(a, b) {
  if (Object.is(a, b)) {
    return true;
  }
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    return false;
  }
  if (kind(a) !== kind(b)) {
    return false;
  }
  if (a instanceof Date) {
    return a.getTime() === b.getTime();
  }
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

function kind(value) {
  return Object.prototype.toString.call(value);
}

function show(value) {
  if (value instanceof Error) {
    return value.stack;
  }
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 600 ? `${text.slice(0, 600)}… (${text.length} characters)` : text;
}
