// Why a purchase failed, in words for the one who wanted to buy. The services write for developers.

import { gil, sentence } from "./dom.js";

const REASONS = [
  [/^Not enough gil to debit (\S+) from user/i, (m) => `You do not have enough gil: this costs ${gil(Number(m[1]))} gil.`],
  [/insufficient stock.*: (\d+) left, (\d+) wanted/i, (m) => (m[1] === "0" ? "It is sold out." : `Only ${m[1]} left: you wanted ${m[2]}.`)],
  [/^Unknown item/i, () => "This item is not for sale any more."],
  [/^Unknown user/i, () => "Your account is not known any more."],
  [/was called off$/i, () => "A service did not answer in time, so the purchase was called off."],
];

// why is the reason for people.
export function why(reason) {
  for (const [pattern, words] of REASONS) {
    const m = pattern.exec(reason);
    if (m) return words(m);
  }
  return sentence(reason);
}

// what names the things of a purchase.
export const what = (p) => `${p.quantity} × ${p.name || "an item"}`;

// outcome is a purchase in one line.
export function outcome(p) {
  if (p.state === "Completed") return "Yours";
  if (p.state === "Faulted") return "Not bought";
  return {
    sending: "Sending the order", open: "Under way", refused: "Not bought", unsent: "Not sent", silent: "No word yet",
  }[p.phase] || "Under way";
}

// mood is good, bad, busy or unsure.
export function mood(p) {
  if (p.state === "Completed") return "good";
  if (p.state === "Faulted" || p.phase === "refused") return "bad";
  return p.phase === "unsent" || p.phase === "silent" ? "unsure" : "busy";
}
