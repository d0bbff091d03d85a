// @ts-check
/** Shows the condition of the feed and the connection: a word in the header, and a bar across the page during an outage. */

import { duration } from "./clock.js";
import { byId, setText } from "./dom.js";
import { _ } from "./words.js";

/** @typedef {import("./clock.js").ServerClock} ServerClock */
/**
 * @typedef {object} Trouble
 * @property {"lost" | "down" | "warning"} condition a warning has no bar
 * @property {string} word for the header
 * @property {string} text for the bar
 * @property {string} reason
 * @property {number | null} since the start, if known
 */

export class Notice {
  #condition = byId("condition", HTMLElement);
  #bar = byId("notice", HTMLElement);
  #alert = byId("alert", HTMLElement);
  #reason = byId("reason", HTMLElement);
  #age = byId("age", HTMLElement);
  /** @type {number | null} */
  #since = null;

  /**
   * @param {Trouble | null} trouble
   * @param {boolean} known whether the status has been known
   */
  show(trouble, known) {
    const outage = Boolean(trouble) && trouble?.condition !== "warning";
    this.#bar.hidden = !outage;
    this.#since = trouble?.since ?? null;
    this.#condition.dataset.condition = trouble?.condition ?? (known ? "live" : "connecting");
    setText(/** @type {Element} */ (this.#condition.lastElementChild), trouble?.word ?? (known ? _("Live") : _("Connecting")));
    setText(this.#alert, trouble?.text ?? "");
    setText(this.#reason, trouble?.reason ?? "");
    document.body.dataset.stale = String(outage);
  }

  /** @param {number} now */
  tick(now) {
    setText(this.#age, this.#since === null ? "" : duration(now - this.#since));
  }
}

/**
 * @param {number | null} since
 * @param {string | null} error
 * @param {ServerClock} clock
 * @returns {Trouble}
 */
export function feedDown(since, error, clock) {
  return {
    condition: "down",
    word: _("No data"),
    text:
      since === null
        ? _("No data: the platform has not answered yet.")
        : _("No data since {time}. The page shows what was known then.", { time: clock.timeOfDay(since) }),
    reason: error ?? "",
    since,
  };
}

/**
 * @param {number} since
 * @param {ServerClock} clock
 * @returns {Trouble}
 */
export function connectionLost(since, clock) {
  return {
    condition: "lost",
    word: _("Connection lost"),
    text: _("The connection to the wallboard has been lost since {time}. Reconnecting…", { time: clock.timeOfDay(since) }),
    reason: "",
    since,
  };
}

/**
 * @param {string} word
 * @returns {Trouble} something odd about the call centre, while the feed is up
 */
export function warning(word) {
  return { condition: "warning", word, text: "", reason: "", since: null };
}
