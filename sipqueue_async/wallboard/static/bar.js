// @ts-check
/** An agent's day in a queue as a bar of states; on a narrow page it is broken into several lines. */

import { length } from "./figures.js";
import { timeOf, usedHours } from "./hours.js";
import { HEIGHTS, stateOf, WORDS } from "./states.js";
import { box, clear, hatching, label, letters, shape, wide } from "./svg.js";
import { _ } from "./words.js";

/** @typedef {import("./hours.js").Hour} Hour */
/** @typedef {import("./past.js").Answer} Answer */
/** @typedef {[number, number, string, {seconds: number, approximate: boolean, goes_on: boolean}]} Interval begin, end, state */
/** @typedef {{at: number, outcome: string, count: number}} Call */
/** @typedef {{day: Hour[], hours: Hour[], intervals: Interval[], calls: Call[], outages: Answer["outages"], until: number, id: string}} Bar */

/** Letters per hour that keep the labels of the hours and short states readable. */
const ROOM = 6;
/** Sizes in letters. */
const [MARKS, TALL, AXIS] = [1.2, 4.5, 2.2];
const THINNEST = 0.06;

/**
 * @param {Hour[]} hours of the day
 * @param {Interval[]} intervals of all queues
 * @returns {Hour[]} those with a state, and those between them
 */
export function hoursOf(hours, intervals) {
  const since = intervals.reduce((first, [began]) => Math.min(first, began), Infinity);
  const until = intervals.reduce((last, [, ended]) => Math.max(last, ended), -Infinity);
  return usedHours(hours, (hour) => hour.end > since && hour.start < until);
}

/**
 * @param {SVGSVGElement} svg
 * @param {Bar} bar
 */
export function drawBar(svg, bar) {
  const width = svg.clientWidth;
  const size = letters();
  if (!width || !bar.hours.length) return;
  const fit = Math.max(1, Math.floor(width / (ROOM * size)));
  const lines = Math.ceil(bar.hours.length / fit);
  const perLine = Math.ceil(bar.hours.length / lines);
  const line = size * (MARKS + TALL + AXIS);
  clear(svg, width, line * lines);
  svg.append(hatching(bar.id));
  for (let at = 0; at < lines; at += 1) {
    const hours = bar.hours.slice(at * perLine, (at + 1) * perLine);
    drawLine(svg, { ...bar, hours }, { width: (width * hours.length) / perLine, size, top: line * at });
  }
}

/**
 * @param {SVGSVGElement} svg
 * @param {Bar} bar
 * @param {{width: number, size: number, top: number}} place
 */
function drawLine(svg, bar, { width, size, top }) {
  const [first, last] = [bar.hours[0], bar.hours[bar.hours.length - 1]];
  if (!first || !last) return;
  const [begin, end] = [first.start, last.end];
  const [high, low] = [top + size * MARKS, top + size * (MARKS + TALL)];
  /** @param {number} moment */
  const x = (moment) => (Math.min(1, Math.max(0, (moment - begin) / (end - begin)))) * width;
  /** @param {number} from @param {number} to */
  const isHere = (from, to) => to > begin && from < end;
  svg.append(box(0, high, width, low, { class: "trace" }));
  for (const interval of bar.intervals) {
    if (isHere(interval[0], interval[1])) drawState(svg, interval, bar.day, { x, high, low, size });
  }
  for (const gap of bar.outages) {
    const until = gap.ended_at ?? bar.until;
    if (!isHere(gap.began_at, until)) continue;
    const since = timeOf(bar.day, Math.max(bar.day[0]?.start ?? 0, gap.began_at));
    const title = _("Nothing is known, {since} to {until}", { since, until: timeOf(bar.day, until) });
    const from = x(gap.began_at);
    svg.append(box(from, high, Math.max(from + 1, x(until)), low, { fill: `url(#${bar.id})`, class: "unknown-time" }, title));
  }
  for (const hour of bar.hours) drawHour(svg, hour, { x, high, low, size });
  for (const call of bar.calls) if (isHere(call.at, call.at + 1)) drawCall(svg, call, bar.day, x(call.at), high - size * 0.55, size);
}

/** @typedef {{x: (moment: number) => number, high: number, low: number, size: number}} Scale */

/**
 * @param {SVGSVGElement} svg
 * @param {Interval} interval
 * @param {Hour[]} hours
 * @param {Scale} scale
 */
function drawState(svg, [began, ended, word, { seconds, approximate }], hours, { x, high, low, size }) {
  const state = stateOf(word);
  const [from, to] = [x(began), Math.max(x(began) + 1, x(ended))];
  const top = low - Math.max(THINNEST, HEIGHTS[state]) * (low - high);
  const told = { state: WORDS[state], since: timeOf(hours, began), until: timeOf(hours, ended), time: length(seconds) };
  const title = approximate ? _("{state}, {since} to {until}, about {time}", told) : _("{state}, {since} to {until}, {time}", told);
  svg.append(box(from, top, to, low, { class: "state", "data-state": state }, title));
  if (wide(WORDS[state], size) + size * 0.6 > to - from) return;
  const inside = low - top > size * 3;
  const y = inside ? (top + low + size * 0.7) / 2 : top - size * 0.35;
  svg.append(label((from + to) / 2, y, WORDS[state], { class: inside ? "inside" : "word", "data-state": state }));
}

/**
 * @param {SVGSVGElement} svg
 * @param {Hour} hour
 * @param {Scale} scale
 */
function drawHour(svg, hour, { x, high, low, size }) {
  const at = x(hour.start);
  svg.append(shape("line", { x1: at, x2: at, y1: high, y2: low + size * 0.5, class: "line" }));
  svg.append(label(at + size * 0.15, low + size * 1.35, hour.label.slice(0, 5), { "text-anchor": "start", class: "soft" }));
}

/**
 * @param {SVGSVGElement} svg
 * @param {Call} call
 * @param {Hour[]} hours
 * @param {number} x
 * @param {number} y
 * @param {number} size
 */
function drawCall(svg, call, hours, x, y, size) {
  const [answered, half] = [call.outcome === "answered", size * 0.3];
  const told = { time: timeOf(hours, call.at), count: call.count };
  const title = shape("title", {}, answered ? _("{time} {count} answered", told) : _("{time} {count} missed", told));
  if (answered) svg.append(shape("circle", { cx: x, cy: y, r: half, class: "mark-answered" }, title));
  else svg.append(shape("path", { d: `M${x - half} ${y - half}l${2 * half} ${2 * half}m0 ${-2 * half}l${-2 * half} ${2 * half}`, class: "mark-missed" }, title));
}
