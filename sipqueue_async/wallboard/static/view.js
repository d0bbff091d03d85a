// @ts-check
/** What of the board is shown, and how: kept in the page's address, so that it can be bookmarked and survives all. */

/** @typedef {import("./store.js").Agent} Agent */
import { STATES } from "./states.js";
import { compare } from "./store.js";

const DEFAULTS = { sort: "extension", talk: 600, ring: 20 };

export class View {
  constructor(search = location.search) {
    const given = new URLSearchParams(search);
    /** @type {Set<string>} only these queues; empty for all */
    this.queues = new Set(given.getAll("queue"));
    /** Only agents with this in their name, extension or queue. */
    this.text = given.get("q") ?? "";
    this.sort = given.get("sort") ?? DEFAULTS.sort;
    /** Seconds of talking after which an agent stands out; null for never. */
    this.talk = seconds(given.get("talk"), DEFAULTS.talk);
    /** Seconds of receiving after which an agent stands out; null for never. */
    this.ring = seconds(given.get("ring"), DEFAULTS.ring);
    this.sound = given.get("sound") === "1";
  }

  /** Put it in the page's address. */
  save() {
    const kept = new URLSearchParams();
    for (const queue of this.queues) kept.append("queue", queue);
    if (this.text) kept.set("q", this.text);
    if (this.sort !== DEFAULTS.sort) kept.set("sort", this.sort);
    if (this.talk !== DEFAULTS.talk) kept.set("talk", String(this.talk ?? ""));
    if (this.ring !== DEFAULTS.ring) kept.set("ring", String(this.ring ?? ""));
    if (this.sound) kept.set("sound", "1");
    const search = kept.toString();
    history.replaceState(null, "", search ? `?${search}` : location.pathname);
  }

  /**
   * @param {Agent[]} agents
   * @returns {Agent[]} those to be shown, in order; who is offline comes last
   */
  choose(agents) {
    const text = this.text.trim().toLocaleLowerCase();
    const chosen = agents.filter(
      (agent) =>
        !text ||
        [agent.name, agent.extension, ...agent.seats.map((seat) => seat.queue)].some((part) =>
          part.toLocaleLowerCase().includes(text),
        ),
    );
    return chosen.sort((one, other) => this.#compare(one, other));
  }

  /**
   * @param {Agent} one
   * @param {Agent} other
   */
  #compare(one, other) {
    const away = Number(one.state === "offline") - Number(other.state === "offline");
    return away || this.#compareBySort(one, other) || compare(one.extension, other.extension);
  }

  /**
   * @param {Agent} one
   * @param {Agent} other
   */
  #compareBySort(one, other) {
    if (this.sort === "name") return compare(one.name, other.name);
    if (this.sort === "state") return STATES.indexOf(one.state) - STATES.indexOf(other.state) || one.since - other.since;
    return 0;
  }

  /**
   * @param {Agent} agent
   * @param {number} now
   * @returns {boolean} whether an agent has been talking or receiving for longer than the threshold
   */
  isOverdue(agent, now) {
    const limit = agent.state === "talking" ? this.talk : agent.state === "receiving" ? this.ring : null;
    return limit !== null && now - agent.since > limit * 1000;
  }
}

/**
 * @param {string | null} text
 * @param {number} usual what is meant where nothing is said
 * @returns {number | null}
 */
function seconds(text, usual) {
  if (text === null) return usual;
  const number = Number(text);
  return text.trim() && number > 0 && number < Infinity ? number : null;
}
