// @ts-check
/** The hours of the shown day. The server knows the time zones: it sends the offset of each hour. */

import { language } from "./words.js";

/**
 * @typedef {object} Hour
 * @property {string} label
 * @property {number} start milliseconds since 1970
 * @property {number} end
 * @property {number} offset seconds by which the zone's clocks are ahead of UTC
 * @property {import("./figures.js").Figures | null} figures null if nothing is recorded
 */

/**
 * @param {Hour[]} hours of a day
 * @param {(hour: Hour) => boolean} isUsed
 * @param {number} least how many hours to return at least, if the day has as many
 * @returns {Hour[]} from the first used hour to the last one
 */
export function usedHours(hours, isUsed, least = 1) {
  const used = hours.flatMap((hour, index) => (isUsed(hour) ? [index] : []));
  if (!used.length) return [];
  const first = used[0] ?? 0;
  const end = Math.min(hours.length, Math.max(first + least, (used[used.length - 1] ?? 0) + 1));
  return hours.slice(Math.max(0, Math.min(first, end - least)), end);
}

/**
 * @param {Hour[]} hours
 * @param {number} moment
 * @returns {string} the time of day in the zone, such as 14:03:59; 24:00:00 at the end of the day
 */
export function timeOf(hours, moment) {
  const last = hours[hours.length - 1];
  if (last && moment >= last.end) return "24:00:00";
  const hour = hours.find((it) => moment < it.end) ?? last;
  return new Date(moment + (hour?.offset ?? 0) * 1000).toISOString().slice(11, 19);
}

/**
 * @param {string} date the shown day, such as 2026-01-05
 * @param {number} moment
 * @param {number} offset seconds by which the zone's clocks are ahead of UTC at the moment
 * @returns {string} the time of day such as 14:03:59, with the date if that is another
 */
export function momentOf(date, moment, offset) {
  const [day, time = ""] = new Date(moment + offset * 1000).toISOString().slice(0, 19).split("T");
  return day === date ? time : `${day} ${time}`;
}

/**
 * @param {string} date such as 2026-01-05
 * @param {number} by days
 * @returns {string} a later or earlier day
 */
export function shifted(date, by) {
  return new Date(Date.parse(`${date}T00:00:00Z`) + by * 86_400_000).toISOString().slice(0, 10);
}

/**
 * @param {string} date such as 2026-01-05
 * @returns {string} such as Monday, 5 January 2026 or 2026年1月5日星期一
 */
export function inWords(date) {
  const style = /** @type {const} */ ({ weekday: "long", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  return new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, style).format(Date.parse(`${date}T00:00:00Z`));
}
