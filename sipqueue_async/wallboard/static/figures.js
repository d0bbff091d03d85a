// @ts-check
/** Figures as text, as a list of cards, and in tables, which are changed in place: a reader keeps focus and position. */

import { duration } from "./clock.js";
import { element, setText } from "./dom.js";
import { stateOf, WORDS } from "./states.js";
import { _, pgettext } from "./words.js";

/**
 * @typedef {object} Figures
 * @property {number} answered
 * @property {number} hidden
 * @property {number} missed
 * @property {number | null} answer_rate
 * @property {number} talk_seconds
 * @property {number | null} mean_talk_seconds
 * @property {number} longest_talk_seconds
 * @property {number} signed_in_seconds
 * @property {number | null} occupancy
 * @property {number} unseen_seconds
 * @property {number | null} first_signed_in_at
 * @property {number | null} last_signed_in_at
 * @property {Record<string, number>} seconds
 */
/** @typedef {string | {text: string, href: string} | {state: string}} Cell */

export const NONE = "–";

/** @param {number | null} share */
export const percent = (share) => (share === null ? NONE : _("{number} %", { number: Math.round(share * 100) }));

/** @param {number | null} seconds */
export const length = (seconds) => (seconds === null ? NONE : duration(seconds * 1000));

/**
 * @param {Figures} it
 * @returns {[string, string][]} names and values of the figures of calls
 */
export function main(it) {
  return [
    [_("Answered"), String(it.answered)],
    [_("Missed"), String(it.missed)],
    [_("Answer rate"), percent(it.answer_rate)],
    [_("Talk time"), length(it.talk_seconds)],
    [_("Mean talk"), length(it.mean_talk_seconds)],
    [_("Longest talk"), length(it.longest_talk_seconds)],
    [pgettext("time", "Signed in"), length(it.signed_in_seconds)],
    [_("Occupancy"), percent(it.occupancy)],
  ];
}

/**
 * @param {HTMLElement} list a dl
 * @param {[string, string][]} figures
 */
export function showFigures(list, figures) {
  while (list.children.length > figures.length) list.lastElementChild?.remove();
  figures.forEach(([name, value], index) => {
    if (!list.children[index]) list.append(element("div", "", element("dt"), element("dd")));
    const [term, described] = list.children[index]?.children ?? [];
    if (term) setText(term, name);
    if (described) setText(described, value);
  });
}

/**
 * @param {string} kind
 * @param {string} words
 * @returns {HTMLElement} an entry of a chart's legend
 */
export function swatch(kind, words) {
  return element("span", "", element("i", kind), words);
}

/** @param {string} column the heading of a column that phones leave out */
export const wide = (column) => `${column}*`;

/**
 * @param {HTMLTableElement} table
 * @param {string[]} columns headings; the first column names the row
 * @param {Cell[][]} rows
 * @param {Cell[] | null} total
 */
export function showTable(table, columns, rows, total = null) {
  if (!table.tHead) {
    const headings = columns.map((name) => element("th", optional(name), name.replace("*", "")));
    for (const heading of headings) heading.scope = "col";
    table.createTHead().append(element("tr", "", ...headings));
    table.createTBody();
    if (total) table.createTFoot();
  }
  const body = table.tBodies[0];
  if (body) showRows(body, columns, rows);
  if (table.tFoot && total) showRows(table.tFoot, columns, [total]);
}

/**
 * @param {HTMLTableSectionElement} part
 * @param {string[]} columns
 * @param {Cell[][]} rows
 */
function showRows(part, columns, rows) {
  while (part.rows.length > rows.length) part.deleteRow(-1);
  rows.forEach((row, index) => {
    const line = part.rows[index] ?? part.insertRow();
    row.forEach((cell, at) => {
      if (!line.cells[at]) line.append(element(at ? "td" : "th", optional(columns[at] ?? "")));
      const place = line.cells[at];
      if (!place) return;
      if (!at) place.scope = "row";
      showCell(place, cell);
    });
  });
}

/** @param {string} column */
const optional = (column) => (column.endsWith("*") ? "wide" : "");

/**
 * @param {HTMLElement} place
 * @param {Cell} cell
 */
function showCell(place, cell) {
  if (typeof cell === "string") {
    setText(place, cell);
  } else if ("state" in cell) {
    place.dataset.state = stateOf(cell.state);
    setText(place, WORDS[stateOf(cell.state)]);
  } else {
    const link = place.querySelector("a") ?? element("a");
    if (!link.parentElement) place.append(link);
    const path = new URL(cell.href, document.baseURI).pathname;
    // The query is that of what is chosen on the page: past.js sets it.
    if (link.pathname !== path) link.href = cell.href;
    setText(link, cell.text);
  }
}
