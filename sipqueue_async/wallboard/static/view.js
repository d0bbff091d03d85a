// @ts-check
/** What the page shows, and how: kept in its address, so that it can be bookmarked and survives restarts. */

/** @typedef {import("./states.js").State} State */
/** @typedef {import("./store.js").Agent} Agent */
import { STATES } from "./states.js";
import { compare } from "./store.js";

/**
 * The address's parameter for each state's threshold, which is in seconds.
 * @type {readonly [State, string][]}
 */
export const THRESHOLDS = [
  ["talking", "talk"],
  ["receiving", "ring"],
  ["waiting", "wait"],
  ["idle", "idle"],
  ["paused", "pause"],
];

const SORT = "trouble";
const LEAST = "least";

/** The server's thresholds, for parameters that the address lacks. */
const usual = new URLSearchParams(document.body.dataset.thresholds);

export class View {
  constructor(search = location.search) {
    const given = new URLSearchParams(search);
    /** @type {Set<string>} only these queues; empty for all */
    this.queues = new Set(given.getAll("queue"));
    /** Only agents with this in their name, extension or queue. */
    this.text = given.get("q") ?? "";
    this.sort = given.get("sort") ?? SORT;
    /** @type {Map<State, number | null>} seconds in a state after which an agent stands out; null for never */
    this.limits = new Map();
    for (const [state, parameter] of THRESHOLDS) this.limits.set(state, threshold(parameter, given));
    /** A queue with fewer agents waiting than this stands out; null for none. */
    this.least = threshold(LEAST, given);
    this.sound = given.get("sound") === "1";
    this.theme = given.get("theme");
    this.language = given.get("lang");
    this.kiosk = given.get("kiosk") === "1";
  }

  /** Put it in the page's address. */
  save() {
    const kept = new URLSearchParams();
    for (const queue of this.queues) kept.append("queue", queue);
    if (this.text) kept.set("q", this.text);
    if (this.sort !== SORT) kept.set("sort", this.sort);
    for (const [state, parameter] of THRESHOLDS) keep(kept, parameter, this.limits.get(state) ?? null);
    keep(kept, LEAST, this.least);
    if (this.sound) kept.set("sound", "1");
    if (this.theme) kept.set("theme", this.theme);
    if (this.language) kept.set("lang", this.language);
    if (this.kiosk) kept.set("kiosk", "1");
    const search = kept.toString();
    history.replaceState(null, "", search ? `?${search}` : location.pathname);
  }

  /**
   * @param {Agent[]} agents
   * @param {number} now
   * @returns {Agent[]} those to show, in order; offline agents come last
   */
  choose(agents, now) {
    const text = this.text.trim().toLocaleLowerCase();
    const chosen = agents.filter(
      (agent) =>
        !text ||
        [agent.name, agent.extension, ...agent.seats.map((seat) => seat.queue)].some((part) =>
          part.toLocaleLowerCase().includes(text),
        ),
    );
    return chosen.sort((one, other) => this.#compare(one, other, now));
  }

  /**
   * @param {Agent} one
   * @param {Agent} other
   * @param {number} now
   */
  #compare(one, other, now) {
    const away = Number(one.state === "offline") - Number(other.state === "offline");
    return away || this.#compareBySort(one, other, now) || compare(one.extension, other.extension);
  }

  /**
   * @param {Agent} one
   * @param {Agent} other
   * @param {number} now
   */
  #compareBySort(one, other, now) {
    if (this.sort === "name") return compare(one.name, other.name);
    if (this.sort === "state") return STATES.indexOf(one.state) - STATES.indexOf(other.state) || one.since - other.since;
    if (this.sort === "extension") return 0;
    const overdue = [one, other].map((agent) => this.isOverdue(agent, now));
    if (overdue[0] && overdue[1]) return one.since - other.since;
    return Number(overdue[1]) - Number(overdue[0]);
  }

  /**
   * @param {Agent} agent
   * @param {number} now
   * @returns {boolean} whether an agent has been in its state for longer than the threshold
   */
  isOverdue(agent, now) {
    const limit = this.limits.get(agent.state) ?? null;
    return limit !== null && now - agent.since > limit * 1000;
  }

  /**
   * @param {number} waiting agents waiting in a queue
   * @returns {boolean} whether they are too few
   */
  isShort(waiting) {
    return this.least !== null && waiting < this.least;
  }
}

/**
 * Add a threshold to an address's parameters, unless it is the server's.
 * @param {URLSearchParams} kept
 * @param {string} parameter
 * @param {number | null} limit
 */
function keep(kept, parameter, limit) {
  if (limit !== threshold(parameter)) kept.set(parameter, String(limit ?? ""));
}

/**
 * @param {string} parameter
 * @param {URLSearchParams} given
 * @returns {number | null} the threshold, or null for never
 */
function threshold(parameter, given = usual) {
  const text = given.get(parameter) ?? usual.get(parameter) ?? "";
  const number = Number(text);
  return text.trim() && number > 0 && number < Infinity ? number : null;
}
