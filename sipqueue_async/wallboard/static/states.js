// @ts-check
/** The states an agent can be in: their words, how much they matter, and how high they are drawn. */

/** @typedef {"talking" | "receiving" | "waiting" | "idle" | "paused" | "unknown" | "offline"} State */

/**
 * All states, the one that matters most first: an agent who sits in several queues is shown with the first of theirs.
 * @type {readonly State[]}
 */
export const STATES = ["talking", "receiving", "waiting", "idle", "paused", "unknown", "offline"];

/**
 * The totals and the numbers of a queue, in order.
 * @type {readonly (State | "signed-in")[]}
 */
export const NUMBERS = ["signed-in", "waiting", "receiving", "talking", "idle", "paused"];

/** @type {Readonly<Record<State | "signed-in", string>>} */
export const WORDS = {
  "signed-in": "Signed in",
  waiting: "Waiting",
  receiving: "Receiving",
  talking: "Talking",
  idle: "Idle",
  paused: "Paused",
  unknown: "Unknown",
  offline: "Offline",
};

/**
 * The share of a strip's height that a state fills, so that strips can be read without their colours.
 * @type {Readonly<Record<State, number>>}
 */
export const HEIGHTS = {
  talking: 1,
  receiving: 0.8,
  waiting: 0.55,
  idle: 0.35,
  paused: 0.2,
  unknown: 0.5,
  offline: 0,
};

/**
 * @param {string} word
 * @returns {State} the state of that name; one that is not known here is unknown
 */
export function stateOf(word) {
  return STATES.find((state) => state === word) ?? "unknown";
}
