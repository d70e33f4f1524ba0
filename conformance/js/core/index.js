import { access } from "./access.js";
import { audiences } from "./audiences.js";
import { calls } from "./calls.js";
import { objects } from "./objects.js";
import { requests } from "./requests.js";
import { results } from "./results.js";
import { streams } from "./streams.js";

/** Every check that runs both in Node and in a browser, by subject and by name. */
export const core = { calls, streams, objects, results, audiences, access, requests };
