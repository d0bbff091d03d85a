// @ts-check
/** The server's time, which everything here is told by: the browser's own clock may be wrong. */

const SAMPLES = 12;

export class ServerClock {
  /** @type {number[]} */
  #offsets = [];

  /**
   * Note what the server's clock showed when it sent a message that has just arrived.
   *
   * The messages take their time, so of the latest ones the offset that is furthest ahead is the nearest to the truth.
   * @param {number} sent milliseconds since the epoch
   */
  note(sent) {
    this.#offsets.push(sent - performance.now());
    if (this.#offsets.length > SAMPLES) this.#offsets.shift();
  }

  /** @returns {number} the server's time in milliseconds since the epoch; the browser's until the server has told */
  now() {
    return this.#offsets.length ? performance.now() + Math.max(...this.#offsets) : Date.now();
  }
}

/**
 * @param {number} milliseconds
 * @returns {string} such as 0:07, 12:34 or 1:02:03
 */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const tail = `${String(Math.floor(seconds / 60) % 60).padStart(seconds < 3600 ? 1 : 2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
  return seconds < 3600 ? tail : `${Math.floor(seconds / 3600)}:${tail}`;
}

/**
 * @param {number} moment milliseconds since the epoch
 * @returns {string} the time of day here, such as 14:03:59
 */
export function timeOfDay(moment) {
  const at = new Date(moment);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}
