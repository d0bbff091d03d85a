// @ts-check
/** The page of a day: calls and occupancy by the hour, and the agents. */

import { drawColumns, isUsed } from "./columns.js";
import { byId, element, setText } from "./dom.js";
import { length, main, NONE, percent, showFigures, showTable, swatch, wide } from "./figures.js";
import { usedHours } from "./hours.js";
import { dayOf, Past, showContent } from "./past.js";
import { _, pgettext } from "./words.js";

/** @typedef {import("./figures.js").Cell} Cell */
/** @typedef {import("./figures.js").Figures} Figures */
/**
 * @typedef {object} Row
 * @property {string} key the extension as it is recorded
 * @property {string} extension
 * @property {string} queue
 * @property {string | null} name
 * @property {Figures} figures
 */
/**
 * @typedef {import("./past.js").Answer & {total: Figures, queues: {key: string, name: string}[], agents: Row[]}} Data
 */

const HOURS = [
  _("Hour"),
  _("Answered"),
  _("Missed"),
  wide(_("Answer rate")),
  _("Talk time"),
  wide(_("Mean talk")),
  wide(pgettext("time", "Signed in")),
  _("Occupancy"),
];
const AGENTS = [
  _("Agent"),
  wide(_("Extension")),
  _("Queue"),
  _("Answered"),
  _("Missed"),
  wide(_("Talk time")),
  wide(pgettext("time", "Signed in")),
  _("Occupancy"),
];

const queue = byId("queue", HTMLSelectElement);
const legend = byId("legend", HTMLElement);
legend.append(
  swatch("answered", _("Answered")),
  swatch("missed", _("Missed")),
  swatch("occupancy", _("Occupancy: talk time as a share of the time signed in")),
  swatch("unseen-time", _("Nothing is known")),
);

/** @type {Past<Data>} */
const past = new Past("api/day", ["queue"], show);
queue.addEventListener("change", () => past.set("queue", queue.value));

/** @param {Data} data */
function show(data) {
  showQueues(data);
  const chosen = data.queues.find(({ key }) => key === past.get("queue"))?.name ?? past.get("queue");
  setText(byId("heading", HTMLElement), chosen ? _("{day}: {queue}", { day: dayOf(data), queue: chosen }) : dayOf(data));
  const hours = usedHours(data.hours, isUsed);
  const isEmpty = !data.agents.length && !hours.length;
  const nothing = past.get("queue") ? _("Nothing is recorded of this queue on this day.") : _("Nothing is recorded on this day.");
  showContent(isEmpty ? nothing : "");
  byId("by-hour", HTMLElement).hidden = !hours.length;
  showFigures(byId("totals", HTMLElement), main(data.total));
  drawColumns(byId("chart", SVGSVGElement), data);
  /** @type {Cell[][]} */
  const rows = hours.map(({ label, figures }) => [label, ...(figures ? ofHour(figures) : HOURS.slice(1).map(() => NONE))]);
  showTable(byId("hours", HTMLTableElement), HOURS, rows, [_("Total"), ...ofHour(data.total)]);
  showTable(byId("agents", HTMLTableElement), AGENTS, data.agents.map(ofAgent));
}

/** @param {Figures} it */
function ofHour(it) {
  return [
    String(it.answered),
    String(it.missed),
    percent(it.answer_rate),
    length(it.talk_seconds),
    length(it.mean_talk_seconds),
    length(it.signed_in_seconds),
    percent(it.occupancy),
  ];
}

/**
 * @param {Row} row
 * @returns {Cell[]}
 */
function ofAgent({ key, extension, queue: name, name: agent, figures }) {
  return [
    { text: agent || extension, href: `agents/${encodeURIComponent(key)}` },
    extension,
    name,
    String(figures.answered),
    String(figures.missed),
    length(figures.talk_seconds),
    length(figures.signed_in_seconds),
    percent(figures.occupancy),
  ];
}

/** @param {Data} data */
function showQueues({ queues }) {
  const chosen = past.get("queue");
  const all = [{ key: "", name: _("All") }, ...queues];
  // A chosen queue stays even on days without it.
  if (chosen && !queues.some(({ key }) => key === chosen)) all.push({ key: chosen, name: chosen });
  const [keys, shown] = [all.map(({ key }) => key), [...queue.options].map(({ value }) => value)];
  if (keys.join("\n") !== shown.join("\n")) queue.replaceChildren(...all.map(({ key, name }) => new Option(name, key)));
  queue.value = chosen;
}
