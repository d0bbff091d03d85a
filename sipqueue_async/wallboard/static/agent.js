// @ts-check
/** The page of an agent's day: a bar of states, figures and calls of each queue. */

import { drawBar, hoursOf } from "./bar.js";
import { byId, element, setText } from "./dom.js";
import { length, main, NONE, showFigures, showTable, swatch } from "./figures.js";
import { timeOf } from "./hours.js";
import { dayOf, Past, showContent } from "./past.js";
import { STATES, WORDS } from "./states.js";
import { shape } from "./svg.js";
import { _, ngettext, pgettext } from "./words.js";

/** @typedef {import("./bar.js").Interval} Interval */
/** @typedef {import("./figures.js").Figures} Figures */
/** @typedef {{queue: string, figures: Figures, intervals: Interval[]}} Seat */
/** @typedef {import("./bar.js").Call & {queue: string, hidden: number}} Call */
/**
 * @typedef {import("./past.js").Answer & {extension: string, name: string | null, seats: Seat[], calls: Call[], left_out: number}} Data
 */

const CALLS = [_("Time"), _("Queue"), _("Outcome"), pgettext("number", "Calls")];
const INTERVALS = [_("From"), _("To"), _("State"), pgettext("duration", "Time"), _("Queue")];

const legend = byId("legend", HTMLElement);
for (const state of STATES) {
  const entry = swatch("state", WORDS[state]);
  if (entry.firstElementChild instanceof HTMLElement) entry.firstElementChild.dataset.state = state;
  legend.append(entry);
}
legend.append(
  swatch("unseen-time", _("Nothing is known")),
  swatch("mark-answered", _("Call answered")),
  swatch("mark-missed", _("Call missed")),
);

const path = location.pathname.split("/");
new Past(`api/agents/${path[path.length - 1]}`, [], show);

/** @param {Data} data */
function show(data) {
  const { name, extension } = data;
  const who = name ? _("{name}, {extension}", { name, extension }) : extension;
  setText(byId("heading", HTMLElement), _("{who}: {day}", { who, day: dayOf(data) }));
  showContent(data.seats.length || data.calls.length ? "" : _("Nothing is recorded of extension {extension} on this day.", { extension }));
  const hours = hoursOf(data.hours, data.seats.flatMap(({ intervals }) => intervals));
  const places = byId("seats", HTMLElement);
  while (places.children.length > data.seats.length) places.lastElementChild?.remove();
  data.seats.forEach((seat, index) => {
    const place = places.children[index] ?? places.appendChild(seatPlace());
    showSeat(place, seat, { hours, data, index });
  });
  showCalls(data);
  showTable(byId("states", HTMLTableElement), INTERVALS, data.seats.flatMap((seat) => seat.intervals.map((it) => ofInterval(it, seat, data))));
  const more = byId("left-out", HTMLElement);
  more.hidden = !data.left_out;
  setText(more, ngettext("{number} further entry is not shown.", "{number} further entries are not shown.", data.left_out));
}

function seatPlace() {
  const chart = shape("svg", { class: "bar", role: "img" });
  return element("section", "seat", element("h3"), chart, element("dl", "figures"));
}

/**
 * @param {Element} place
 * @param {Seat} seat
 * @param {{hours: Data["hours"], data: Data, index: number}} around
 */
function showSeat(place, { queue, figures, intervals }, { hours, data, index }) {
  const [heading, svg, list] = place.children;
  if (!heading || !(svg instanceof SVGSVGElement) || !(list instanceof HTMLElement)) return;
  setText(heading, queue);
  svg.setAttribute("aria-label", _("States in {queue}: the table at the end of the page has the same times", { queue }));
  const calls = data.calls.filter((call) => call.queue === queue);
  drawBar(svg, { day: data.hours, hours, intervals, calls, outages: data.outages, until: data.now, id: `unseen-${index}` });
  showFigures(list, [
    ...main(figures),
    [_("First seen"), figures.first_signed_in_at === null ? NONE : timeOf(data.hours, figures.first_signed_in_at).slice(0, 5)],
    [_("Last seen"), figures.last_signed_in_at === null ? NONE : timeOf(data.hours, figures.last_signed_in_at).slice(0, 5)],
    ...STATES.filter((state) => state !== "talking" && figures.seconds[state]).map(
      (state) => /** @type {[string, string]} */ ([WORDS[state], length(figures.seconds[state] ?? 0)]),
    ),
    ...(figures.unseen_seconds ? [/** @type {[string, string]} */ ([_("Not known"), length(figures.unseen_seconds)])] : []),
  ]);
}

/** @param {Data} data */
function showCalls(data) {
  const table = byId("calls", HTMLTableElement);
  table.hidden = !data.calls.length;
  byId("no-calls", HTMLElement).hidden = data.calls.length > 0;
  showTable(
    table,
    CALLS,
    data.calls.map(({ at, queue, outcome, count, hidden }) => [
      timeOf(data.hours, at),
      queue,
      outcome === "answered" ? `✓ ${_("Answered")}` : `✗ ${_("Missed")}`,
      between(count, hidden),
    ]),
  );
}

/**
 * @param {number} count
 * @param {number} hidden how many of the calls no poll showed
 */
function between(count, hidden) {
  if (!hidden) return String(count);
  return hidden === count ? _("{count}, between two polls", { count }) : _("{count}, {hidden} of them between two polls", { count, hidden });
}

/**
 * @param {Interval} interval
 * @param {Seat} seat
 * @param {Data} data
 */
function ofInterval([began, ended, state, { seconds, approximate, goes_on: goesOn }], { queue }, data) {
  return [
    `${approximate ? "≤ " : ""}${timeOf(data.hours, began)}`,
    goesOn ? "…" : timeOf(data.hours, ended),
    { state },
    length(seconds),
    queue,
  ];
}
