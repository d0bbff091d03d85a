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
 * @returns {string} such as 0:07, 12:34, 1h 02m or 3d 04h: what is long is told without seconds
 */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (hours >= 24) return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
  if (hours) return `${hours}h ${two(minutes % 60)}m`;
  return `${minutes}:${two(seconds % 60)}`;
}

/**
 * @param {number} number
 * @returns {string} with two digits at least
 */
function two(number) {
  return String(number).padStart(2, "0");
}

/**
 * @param {number} moment milliseconds since the epoch
 * @returns {string} the time of day here, such as 14:03:59
 */
export function timeOfDay(moment) {
  const at = new Date(moment);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
}
