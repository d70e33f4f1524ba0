// The shell: who is signed in, what is shown.

import { $, el } from "./dom.js";

$("main").replaceChildren(el("h1", {}, "Play Economy"), el("p", {}, "The store opens here."));
