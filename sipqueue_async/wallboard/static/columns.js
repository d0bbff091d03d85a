// @ts-check
/** The chart of a day: calls answered and missed, and below them the occupancy, by the hour. */

import { percent } from "./figures.js";
import { usedHours } from "./hours.js";
import { box, clear, hatching, label, letters, shape, wide } from "./svg.js";
import { _ } from "./words.js";

/** @typedef {import("./hours.js").Hour} Hour */
/** @typedef {import("./past.js").Answer} Answer */

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
const LINES = 4;
/** A day that has just begun has columns of the usual width. */
const FEWEST = 8;

/**
 * @param {Hour} hour
 * @returns {boolean} whether an agent was signed in, or had a call
 */
export function isUsed({ figures }) {
  return figures !== null && figures.signed_in_seconds + figures.answered + figures.missed > 0;
}

/**
 * @param {SVGSVGElement} svg
 * @param {Answer} data
 */
export function drawColumns(svg, data) {
  const hours = usedHours(data.hours, isUsed, FEWEST);
  const [first, last] = [hours[0], hours[hours.length - 1]];
  const [width, height] = [svg.clientWidth, svg.clientHeight];
  if (!first || !last || !width) return;
  const size = letters();
  clear(svg, width, height);
  svg.append(hatching("unseen-day"));
  // "100 %" in a wide font.
  const left = size * 4;
  const right = width - size * 0.5;
  const scale = {
    size,
    left,
    right,
    /** @param {number} moment */
    x: (moment) =>
      left + (Math.min(1, Math.max(0, (moment - first.start) / (last.end - first.start))) * (right - left)),
  };
  const calls = { ...scale, top: size * 1.8, bottom: height * 0.6 };
  const occupancy = { ...scale, top: height * 0.6 + size * 4.2, bottom: height - size * 1.8 };
  for (const part of [calls, occupancy]) {
    const gaps = data.outages.filter((gap) => (gap.ended_at ?? data.now) > first.start && gap.began_at < last.end);
    svg.append(...gaps.map((gap) => unseen(gap, data, part)));
    svg.append(...hourLabels(hours, part));
  }
  drawCalls(svg, hours, calls);
  drawOccupancy(svg, hours, occupancy);
}

/** @typedef {{size: number, left: number, right: number, top: number, bottom: number, x: (moment: number) => number}} Part */

/**
 * @param {{began_at: number, ended_at: number | null}} gap
 * @param {Answer} data
 * @param {Part} part
 */
function unseen(gap, data, { x, top, bottom }) {
  const end = gap.ended_at ?? data.now;
  const from = x(gap.began_at);
  return box(from, top, Math.max(from + 1, x(end)), bottom, { fill: "url(#unseen-day)", class: "unknown-time" }, _("Nothing is known"));
}

/**
 * @param {Hour[]} hours
 * @param {Part} part
 */
function hourLabels(hours, { size, x, bottom, left, right }) {
  const every = [1, 2, 3, 4, 6].find((step) => ((right - left) / hours.length) * step > wide("00:00", size) + size * 0.3) ?? 8;
  return hours.flatMap((hour, index) => {
    if (index % every) return [];
    // The offset of an hour that comes twice is in the table.
    const words = hour.label.slice(0, every > 1 ? 2 : 5);
    return [label((x(hour.start) + x(hour.end)) / 2, bottom + size * 1.25, words, { class: "soft" })];
  });
}

/**
 * @param {SVGSVGElement} svg
 * @param {number} top the greatest value of the axis
 * @param {number} step
 * @param {(value: number) => string} words
 * @param {Part} part
 */
function axis(svg, top, step, words, { left, right, top: high, bottom, size }) {
  for (let value = 0; value <= top; value += step) {
    const y = bottom - (value / top) * (bottom - high);
    svg.append(shape("line", { x1: left, x2: right, y1: y, y2: y, class: "line" }));
    svg.append(label(left - size * 0.4, y + size * 0.35, words(value), { "text-anchor": "end", class: "soft" }));
  }
}

/**
 * @param {SVGSVGElement} svg
 * @param {Hour[]} hours
 * @param {Part} part
 */
function drawCalls(svg, hours, part) {
  const { x, bottom, top, size } = part;
  const most = Math.max(1, ...hours.map(({ figures }) => (figures ? figures.answered + figures.missed : 0)));
  const step = STEPS.find((it) => it * LINES >= most) ?? most;
  const greatest = Math.ceil(most / step) * step;
  axis(svg, greatest, step, String, part);
  svg.append(label(part.left, top - size * 0.8, _("Calls"), { "text-anchor": "start", class: "soft" }));
  for (const { start, end, label: hour, figures } of hours) {
    if (!figures) continue;
    const [from, to] = inner(x(start), x(end));
    const tall = (/** @type {number} */ calls) => (calls / greatest) * (bottom - top);
    const middle = bottom - tall(figures.answered);
    const high = middle - tall(figures.missed);
    const title = _("{hour}: {answered} answered, {missed} missed", { hour, answered: figures.answered, missed: figures.missed });
    svg.append(box(from, middle, to, bottom, { class: "answered" }, title));
    if (figures.missed) svg.append(box(from + 1, high + 1, to - 1, middle, { class: "missed" }, title));
    const words = figures.missed ? `${figures.answered} + ${figures.missed}` : String(figures.answered);
    if (figures.answered + figures.missed) number(svg, words, from, to, high - size * 0.35, size);
  }
}

/**
 * @param {SVGSVGElement} svg
 * @param {Hour[]} hours
 * @param {Part} part
 */
function drawOccupancy(svg, hours, part) {
  const { x, bottom, top, size } = part;
  axis(svg, 1, 0.5, percent, part);
  svg.append(label(part.left, top - size * 0.8, _("Occupancy"), { "text-anchor": "start", class: "soft" }));
  for (const { start, end, label: hour, figures } of hours) {
    if (!figures || figures.occupancy === null) continue;
    const [from, to] = inner(x(start), x(end));
    const high = bottom - figures.occupancy * (bottom - top);
    const words = percent(figures.occupancy);
    svg.append(box(from, high, to, bottom, { class: "occupancy" }, _("{hour}: occupancy {share}", { hour, share: words })));
    number(svg, words, from, to, high - size * 0.35, size);
  }
}

/**
 * @param {number} from
 * @param {number} to
 * @returns {[number, number]} a column of an hour
 */
function inner(from, to) {
  const gap = (to - from) * 0.12;
  return [from + gap, to - gap];
}

/**
 * Write a number above a column, if it fits.
 * @param {SVGSVGElement} svg
 * @param {string} words
 * @param {number} from
 * @param {number} to
 * @param {number} y
 * @param {number} size
 */
function number(svg, words, from, to, y, size) {
  if (wide(words, size) < (to - from) * 1.25) svg.append(label((from + to) / 2, y, words, { class: "number" }));
}
