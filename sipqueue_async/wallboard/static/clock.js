// @ts-check
/** The server's clocks, which all times on the page use: the browser's own clock may be wrong. */

import { _ } from "./words.js";

const SAMPLES = 12;

export class ServerClock {
  /** @type {number[]} */
  #offsets = [];
  #toWall = 0;

  /**
   * Record the readings of the server's clocks in a message that has just arrived.
   *
   * Messages are delayed, so of the latest offsets the largest is the most accurate.
   * @param {number} now board time: milliseconds that no step of the server's wall clock changes
   * @param {number} wall the server's wall clock: milliseconds since 1970
   */
  note(now, wall) {
    this.#toWall = wall - now;
    this.#offsets.push(now - performance.now());
    if (this.#offsets.length > SAMPLES) this.#offsets.shift();
  }

  /** @returns {number} the board time now; the browser's time before the first message */
  now() {
    return this.#offsets.length ? performance.now() + Math.max(...this.#offsets) : Date.now();
  }

  /**
   * @param {number} moment board time
   * @returns {string} the time of day by the server's wall clock, such as 14:03:59
   */
  timeOfDay(moment) {
    const at = new Date(moment + this.#toWall);
    return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  }
}

/**
 * @param {number} milliseconds
 * @returns {string} such as 0:07, 12:34, 1h 02m or 3d 04h; without seconds from an hour on
 */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (hours >= 24) return _("{days}d {hours}h", { days: Math.floor(hours / 24), hours: two(hours % 24) });
  if (hours) return _("{hours}h {minutes}m", { hours, minutes: two(minutes % 60) });
  return `${minutes}:${two(seconds % 60)}`;
}

/**
 * @param {number} number
 * @returns {string} with at least two digits
 */
function two(number) {
  return String(number).padStart(2, "0");
}
