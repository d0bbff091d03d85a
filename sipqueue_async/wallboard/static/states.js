// @ts-check
/** The states of an agent: words, rank, and height in a strip. */

import { _, pgettext } from "./words.js";

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

/**
 * @param {State} state
 * @returns {string} the word of the server's table of states, which its other programs use too
 */
function word(state) {
  const found = pgettext("state", state);
  return found.charAt(0).toUpperCase() + found.slice(1);
}

/** @type {Readonly<Record<Figure, string>>} */
export const WORDS = {
  "signed-in": _("Signed in"),
  waiting: word("waiting"),
  receiving: word("receiving"),
  talking: word("talking"),
  idle: word("idle"),
  paused: word("paused"),
  unknown: word("unknown"),
  offline: word("offline"),
  answered: _("Answered"),
  missed: _("Missed"),
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
