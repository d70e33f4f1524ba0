import { access } from "./access.js";
import { audiences } from "./audiences.js";
import { calls } from "./calls.js";
import { failures } from "./failures.js";
import { life } from "./life.js";
import { network } from "./network.js";
import { page } from "./page.js";
import { requests } from "./requests.js";

/** Every check that runs both in Node and in a browser, by subject and by name. */
export const core = { calls, failures, audiences, life, access, requests, page };

/** The checks that cut their network: most of their time is waiting. */
export { network };
