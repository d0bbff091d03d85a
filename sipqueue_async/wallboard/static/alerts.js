// @ts-check
/** Shows the raised alerts of the server's rules above everything else, as many as fit. */

import { duration } from "./clock.js";
import { byId, element, icon, setText } from "./dom.js";
import { isWall } from "./pages.js";

/** @typedef {import("./clock.js").ServerClock} ServerClock */
/**
 * @typedef {object} Alert times are board time in milliseconds
 * @property {string} id
 * @property {string} rule
 * @property {string} who
 * @property {string} what
 * @property {number} since
 * @property {boolean} approximate whether the condition may have begun before `since`
 * @property {boolean} feed whether it is about the feed itself
 */
/**
 * @typedef {object} Raised what the server sends; null if it has no rules
 * @property {string} more the words for further alerts, with {number}
 * @property {string} since the words for a beginning, with {time}
 * @property {number} number of all raised alerts
 * @property {Alert[]} raised the most important ones
 */

/** The share of a wall's height, and the number of alerts on a screen that scrolls. */
const SHARE = 0.24;
const MOST = 6;
/** Characters of an agent's and a queue's name together. */
const LONGEST = 200;

class Line {
  #who = element("span", "who");
  #what = element("span", "what");
  #start = element("span", "start");
  #lasts = element("span", "lasts");
  item = element("li", "alert", icon("warning"), element("span", "text", this.#who, " ", this.#what), this.#start, this.#lasts);
  /** @type {Alert} */
  #alert;

  /** @param {Alert} alert */
  constructor(alert) {
    this.#alert = alert;
    // A screen reader would announce every second.
    this.#lasts.setAttribute("aria-hidden", "true");
  }

  /**
   * @param {Alert} alert
   * @param {string} since the words for a beginning
   * @param {ServerClock} clock
   */
  show(alert, since, clock) {
    this.#alert = alert;
    this.item.title = `${alert.rule}: ${alert.who} ${alert.what}`;
    this.item.classList.toggle("feed", alert.feed);
    setText(this.#who, cut(alert.who));
    setText(this.#what, alert.what);
    setText(this.#start, since.replace("{time}", () => clock.timeOfDay(alert.since)));
  }

  /**
   * @param {number} now
   * @param {number} knownUntil the start of an outage
   */
  tick(now, knownUntil) {
    const { since, approximate, feed } = this.#alert;
    setText(this.#lasts, `${approximate ? "≥ " : ""}${duration((feed ? now : knownUntil) - since)}`);
  }
}

export class Alerts {
  #part = byId("alerts", HTMLElement);
  #list = byId("raised", HTMLElement);
  #further = byId("further", HTMLElement);
  #clock;
  /** @type {Map<string, Line>} */
  #lines = new Map();
  /** @type {Set<string>} those of the last message */
  #known = new Set();

  /** @param {ServerClock} clock */
  constructor(clock) {
    this.#clock = clock;
  }

  /**
   * Note a message.
   * @param {Raised | null} message
   * @returns {boolean} whether there is another alert than before
   */
  note(message) {
    const before = this.#known;
    this.#known = new Set(message?.raised.map((alert) => alert.id));
    return [...this.#known].some((id) => !before.has(id));
  }

  /**
   * @param {Raised | null} message
   * @param {number} now
   * @param {number} knownUntil the start of an outage
   */
  show(message, now, knownUntil) {
    this.#part.hidden = !message?.number;
    const raised = message?.raised ?? [];
    const lines = raised.map((alert) => this.#lines.get(alert.id) ?? new Line(alert));
    this.#lines = new Map(raised.map((alert, index) => [alert.id, /** @type {Line} */ (lines[index])]));
    if (!message?.number) return;
    raised.forEach((alert, index) => lines[index]?.show(alert, message.since, this.#clock));
    this.tick(now, knownUntil);
    this.#fit(message, lines.map(({ item }) => item));
  }

  /**
   * Show as many alerts as there is room for, and the number of the others.
   * @param {Raised} message
   * @param {HTMLElement[]} items
   */
  #fit(message, items) {
    /** @param {number} count */
    const place = (count) => {
      this.#list.replaceChildren(...items.slice(0, count));
      this.#further.hidden = message.number <= count;
      setText(this.#further, message.more.replace("{number}", String(message.number - count)));
    };
    let count = isWall() ? items.length : Math.min(MOST, items.length);
    place(count);
    while (isWall() && count > 1 && this.#part.offsetHeight > SHARE * innerHeight) place((count -= 1));
  }

  /**
   * @param {number} now
   * @param {number} knownUntil the start of an outage
   */
  tick(now, knownUntil) {
    for (const line of this.#lines.values()) line.tick(now, knownUntil);
  }
}

/**
 * @param {string} text
 * @returns {string} without the end of a name longer than any that people have
 */
function cut(text) {
  if (text.length <= LONGEST) return text;
  return `${[...text].slice(0, LONGEST - 1).join("")}…`;
}
