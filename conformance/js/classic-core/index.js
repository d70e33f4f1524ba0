import { audiences } from "./audiences.js";
import { calls } from "./calls.js";
import { failures } from "./failures.js";

/** Every check that runs both in Node and in a browser, by subject and by name. */
export const core = { calls, failures, audiences };
