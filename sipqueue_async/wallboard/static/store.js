// @ts-check
/** What the server has told: seats by key, and the agents, queues and numbers that they come to. */

import { STATES, stateOf } from "./states.js";

/** @typedef {import("./states.js").State} State */
/** @typedef {[since: number, state: string | null]} Span a state's beginning; null is "has left" */
/**
 * @typedef {object} Seat one extension in one queue, as the server tells it; times are milliseconds since the epoch
 * @property {string} queue
 * @property {string} extension
 * @property {string | null} name
 * @property {string} state
 * @property {number} code
 * @property {number} since
 * @property {boolean} approximate whether the state may have begun before `since`
 * @property {boolean} present
 * @property {Span[]} history
 */
/**
 * @typedef {object} Message what changed; all there is, if it is full
 * @property {boolean} full
 * @property {number} window seconds that a strip shows
 * @property {{up: boolean | null, since: number | null, error: string | null}} feed
 * @property {[number | null, number | null][]} outages
 * @property {Seat[]} seats
 */
/**
 * @typedef {object} Agent an extension, with the state that matters most of those in its queues
 * @property {string} extension
 * @property {string} name
 * @property {State} state
 * @property {number} code
 * @property {number} since
 * @property {boolean} approximate
 * @property {Seat[]} seats
 */
/** @typedef {Record<State | "signed-in", number>} Numbers */

export class Store {
  /** @type {Map<string, Seat>} */
  #seats = new Map();
  /** @type {Message["feed"]} */
  feed = { up: null, since: null, error: null };
  /** @type {Message["outages"]} */
  outages = [];
  window = 900;

  /** @param {Message} message */
  apply(message) {
    if (message.full) this.#seats.clear();
    this.feed = message.feed;
    this.outages = message.outages;
    this.window = message.window;
    for (const seat of message.seats) {
      const key = JSON.stringify([seat.queue, seat.extension]);
      const known = this.#seats.get(key)?.history ?? [];
      // Of a seat that comes back the whole past is told.
      const news = seat.history[0]?.[0] ?? Infinity;
      seat.history = [...known.filter(([since]) => since < news), ...seat.history];
      this.#seats.set(key, seat);
    }
  }

  /**
   * Forget what no strip shows any more.
   * @param {number} now
   */
  prune(now) {
    const oldest = now - this.window * 1000;
    for (const { history } of this.#seats.values()) {
      while (history.length > 1 && /** @type {Span} */ (history[1])[0] <= oldest) history.shift();
    }
  }

  /** @returns {Map<string, Numbers>} the numbers of each queue that anybody is in, by name */
  queues() {
    /** @type {Map<string, Numbers>} */
    const queues = new Map();
    for (const seat of this.#seats.values()) {
      if (!seat.present) continue;
      const numbers = queues.get(seat.queue) ?? zeros();
      queues.set(seat.queue, numbers);
      count(numbers, stateOf(seat.state));
    }
    return queues;
  }

  /**
   * @param {ReadonlySet<string>} queues only the seats in these; empty for all
   * @returns {Agent[]} the agents there are
   */
  agents(queues) {
    /** @type {Map<string, Seat[]>} */
    const byExtension = new Map();
    for (const seat of this.#seats.values()) {
      if (!seat.present || (queues.size && !queues.has(seat.queue))) continue;
      const seats = byExtension.get(seat.extension);
      if (seats) seats.push(seat);
      else byExtension.set(seat.extension, [seat]);
    }
    return [...byExtension.values()].map(agentOf);
  }
}

/**
 * @param {Seat[]} seats at least one
 * @returns {Agent}
 */
function agentOf(seats) {
  const rank = Math.min(...seats.map((seat) => STATES.indexOf(stateOf(seat.state))));
  const state = /** @type {State} */ (STATES[rank]);
  // In the same state in several queues, it is that since the first of them.
  const lead = seats.filter((seat) => stateOf(seat.state) === state).reduce((a, b) => (b.since < a.since ? b : a));
  return {
    extension: lead.extension,
    name: lead.name ?? "",
    state,
    code: lead.code,
    since: lead.since,
    approximate: lead.approximate,
    seats,
  };
}

/**
 * @param {Agent[]} agents
 * @returns {Numbers} how many there are in each state
 */
export function totals(agents) {
  const numbers = zeros();
  for (const agent of agents) count(numbers, agent.state);
  return numbers;
}

/** @returns {Numbers} */
export function zeros() {
  return { "signed-in": 0, talking: 0, receiving: 0, waiting: 0, idle: 0, paused: 0, unknown: 0, offline: 0 };
}

/**
 * @param {Numbers} numbers
 * @param {State} state
 */
function count(numbers, state) {
  numbers[state] += 1;
  if (state !== "offline") numbers["signed-in"] += 1;
}

const collator = new Intl.Collator(undefined, { numeric: true });

/**
 * @param {string} one
 * @param {string} other
 * @returns {number}
 */
export function compare(one, other) {
  return collator.compare(one, other);
}
