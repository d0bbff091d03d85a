// @ts-check
/** Keeps the seats that the server sent, and derives agents, queues and numbers from them. */

import { STATES, stateOf } from "./states.js";
import { _, language } from "./words.js";

/** @typedef {import("./states.js").State} State */
/** @typedef {[since: number, state: string | null]} Span the start of a state; null means that the seat left */
/**
 * @typedef {object} Seat one extension in one queue; times are board time in milliseconds
 * @property {string} queue
 * @property {string} extension
 * @property {string | null} name
 * @property {string} state
 * @property {number} code
 * @property {number} since
 * @property {boolean} approximate whether the state may have begun before `since`
 * @property {boolean} present
 * @property {number} answered calls answered, by the platform's counter
 * @property {number} missed offered calls not answered, by the platform's counter
 * @property {Span[]} history
 */
/**
 * @typedef {object} Message what changed; everything, if it is full
 * @property {boolean} full
 * @property {number} window seconds that a strip shows
 * @property {{up: boolean | null, since: number | null, error: string | null}} feed
 * @property {[number | null, number | null][]} outages
 * @property {import("./alerts.js").Raised | null} alerts
 * @property {Seat[]} seats
 */
/**
 * @typedef {object} Agent an extension, in the most important of its states in its queues
 * @property {string} extension
 * @property {string} name
 * @property {State} state
 * @property {number} code
 * @property {number} since
 * @property {boolean} approximate
 * @property {Seat[]} seats
 */
/** @typedef {Record<State | "signed-in" | "answered" | "missed", number>} Numbers */

const GONE_FOR = 3_600_000;

export class Store {
  /** @type {Map<string, Seat>} */
  #seats = new Map();
  /** @type {Message["feed"]} */
  feed = { up: null, since: null, error: null };
  /** @type {Message["outages"]} */
  outages = [];
  /** @type {Message["alerts"]} */
  alerts = null;
  window = 900;
  /** @type {Map<string, number>} queues that are gone, and since when (the browser's steady clock) */
  #gone = new Map();

  /** @param {Message} message */
  apply(message) {
    const before = this.queues().keys();
    if (message.full) this.#seats.clear();
    this.feed = message.feed;
    this.outages = message.outages;
    this.alerts = message.alerts;
    this.window = message.window;
    for (const seat of message.seats) {
      const key = JSON.stringify([seat.queue, seat.extension]);
      const known = this.#seats.get(key)?.history ?? [];
      // A seat that returns comes with its whole history.
      const news = seat.history[0]?.[0] ?? Infinity;
      seat.history = [...known.filter(([since]) => since < news), ...seat.history];
      this.#seats.set(key, seat);
    }
    const queues = this.queues();
    for (const queue of before) if (!queues.has(queue)) this.#gone.set(queue, performance.now());
    for (const queue of queues.keys()) this.#gone.delete(queue);
  }

  /** @returns {string[]} queues that had agents within the last hour, and have none now */
  gone() {
    for (const [queue, since] of this.#gone) if (performance.now() - since > GONE_FOR) this.#gone.delete(queue);
    return [...this.#gone.keys()];
  }

  /**
   * Drop history that no strip shows any more.
   * @param {number} now
   */
  prune(now) {
    const oldest = now - this.window * 1000;
    for (const { history } of this.#seats.values()) {
      while (history.length > 1 && /** @type {Span} */ (history[1])[0] <= oldest) history.shift();
    }
  }

  /** @returns {Map<string, Numbers>} the numbers of each queue that has agents, by name */
  queues() {
    /** @type {Map<string, Numbers>} */
    const queues = new Map();
    for (const seat of this.#seats.values()) {
      if (!seat.present) continue;
      const numbers = queues.get(seat.queue) ?? zeros();
      queues.set(seat.queue, numbers);
      count(numbers, stateOf(seat.state));
      countCalls(numbers, seat);
    }
    return queues;
  }

  /**
   * @param {ReadonlySet<string>} queues only the seats in these; empty for all
   * @returns {Agent[]}
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
  // Of several seats in this state, the one that has been in it the longest.
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
 * @returns {Numbers} the number of agents in each state, and of their calls
 */
export function totals(agents) {
  const numbers = zeros();
  for (const agent of agents) {
    count(numbers, agent.state);
    for (const seat of agent.seats) countCalls(numbers, seat);
  }
  return numbers;
}

/** @returns {Numbers} */
export function zeros() {
  const states = { talking: 0, receiving: 0, waiting: 0, idle: 0, paused: 0, unknown: 0, offline: 0 };
  return { "signed-in": 0, ...states, answered: 0, missed: 0 };
}

/**
 * @param {Numbers} numbers
 * @param {State} state
 */
function count(numbers, state) {
  numbers[state] += 1;
  if (state !== "offline") numbers["signed-in"] += 1;
}

/**
 * @param {Numbers} numbers
 * @param {Seat} seat
 */
function countCalls(numbers, seat) {
  numbers.answered += seat.answered;
  numbers.missed += seat.missed;
}

/**
 * @param {Agent[]} agents
 * @returns {number | null} when the call began that has been ringing the longest
 */
export function ringingSince(agents) {
  const since = agents.flatMap((agent) => agent.seats).filter((seat) => stateOf(seat.state) === "receiving").map((seat) => seat.since);
  return since.length ? Math.min(...since) : null;
}

/**
 * @param {{answered: number, missed: number}} calls
 * @returns {string} the share of offered calls that were answered
 */
export function answerRate({ answered, missed }) {
  return answered + missed ? _("{number} %", { number: Math.round((100 * answered) / (answered + missed)) }) : "–";
}

const collator = new Intl.Collator(language, { numeric: true });

/**
 * @param {string} one
 * @param {string} other
 * @returns {number}
 */
export function compare(one, other) {
  return collator.compare(one, other);
}
