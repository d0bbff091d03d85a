// @ts-check
/** The states of an agent: words, rank, and height in a strip. */

/** @typedef {"talking" | "receiving" | "waiting" | "idle" | "paused" | "unknown" | "offline"} State */

/**
 * All states, the most important first: an agent in several queues is shown in the first of their states.
 * @type {readonly State[]}
 */
export const STATES = ["talking", "receiving", "waiting", "idle", "paused", "unknown", "offline"];

/**
 * The figures in the totals and queues, in order; "unknown" is shown only when it is not 0.
 * @type {readonly Figure[]}
 */
export const FIGURES = ["signed-in", "waiting", "receiving", "talking", "idle", "paused", "unknown", "answered", "missed"];

/** @typedef {State | "signed-in" | "answered" | "missed"} Figure */

/** @type {Readonly<Record<Figure, string>>} */
export const WORDS = {
  "signed-in": "Signed in",
  waiting: "Waiting",
  receiving: "Receiving",
  talking: "Talking",
  idle: "Idle",
  paused: "Paused",
  unknown: "Unknown",
  offline: "Offline",
  answered: "Answered",
  missed: "Missed",
};

/**
 * The share of a strip's height that a state fills, so that strips can be read without colours.
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
 * @returns {State} the state of that name; "unknown" for any other name
 */
export function stateOf(word) {
  return STATES.find((state) => state === word) ?? "unknown";
}
