// @ts-check
/** The totals at the top, and the queues: a card for each, or a compact table of many. */

import { duration } from "./clock.js";
import { element, icon, setText } from "./dom.js";
import { isWall } from "./pages.js";
import { FIGURES, WORDS } from "./states.js";
import { answerRate, compare, zeros } from "./store.js";
import { _ } from "./words.js";

/** @typedef {import("./pages.js").Pages} Pages */
/** @typedef {import("./store.js").Numbers} Numbers */
/** @typedef {import("./view.js").View} View */

/** The last figures, which have a line of their own on a card. */
const CALLS = 2;
/** In rem. */
const CARD = 17;
const ROW = { width: 28, height: 1.85 };
const GAP = 0.6;
/** What a row has for a name beside a warning, and what it offers at most. */
const NAME = { least: 4, most: 14 };
/** A row's column of agents in an unknown state. */
const UNKNOWN = 2.85;
/** The share of the screen's height for the table. */
const SHARE = 0.3;

export class Totals {
  /** @type {Map<string, {part: HTMLElement, number: HTMLElement}>} */
  #parts = new Map();
  #rate = element("dd", "", "–");
  #ring = element("dd", "", "–");
  /** @type {number | null} */
  #ringing = null;

  /** @param {HTMLElement} list */
  constructor(list) {
    for (const figure of FIGURES) {
      const number = element("dd", "", "–");
      const part = element("div", "", element("dt", "", icon(figure), WORDS[figure]), number);
      part.dataset.state = figure;
      this.#parts.set(figure, { part, number });
      list.append(part);
    }
    list.append(element("div", "rate", element("dt", "", _("Answer rate")), this.#rate));
    list.append(element("div", "ring", element("dt", "", _("Longest ring")), this.#ring));
  }

  /**
   * @param {Numbers | null} numbers null as long as nothing is known
   * @param {number | null} ringing when the call began that has been ringing the longest
   * @param {View} view
   */
  show(numbers, ringing, view) {
    this.#ringing = ringing;
    for (const [name, { part, number }] of this.#parts) {
      const figure = numbers?.[/** @type {keyof Numbers} */ (name)];
      setText(number, figure === undefined ? "–" : String(figure));
      part.hidden = name === "unknown" && !figure;
      part.classList.toggle("short", name === "waiting" && figure !== undefined && view.isShort(figure));
    }
    setText(this.#rate, numbers ? answerRate(numbers) : "–");
  }

  /** @param {number} now */
  tick(now) {
    setText(this.#ring, this.#ringing === null ? "–" : duration(now - this.#ringing));
  }
}

class Card {
  #name = element("span", "name");
  #lack = element("span");
  #warning = element("span", "warning", icon("warning"), this.#lack);
  #rate = element("span", "rate");
  /** @type {Map<string, {part: HTMLElement, number: HTMLElement}>} */
  #numbers = new Map();
  button = element("button", "queue");

  /** @param {string} name */
  constructor(name) {
    setText(this.#name, name);
    this.button.type = "button";
    this.button.title = name;
    const numbers = FIGURES.map((figure) => {
      const number = element("span");
      const part = element("span", "number", icon(figure), number, element("span", "unseen", ` ${WORDS[figure].toLowerCase()}${_(", ")}`));
      part.dataset.state = figure;
      part.title = WORDS[figure];
      this.#numbers.set(figure, { part, number });
      return part;
    });
    this.#rate.title = _("Answer rate");
    this.button.append(
      element("span", "title", this.#name, this.#warning),
      element("span", "numbers", ...numbers.slice(0, -CALLS)),
      element("span", "numbers calls", ...numbers.slice(-CALLS), this.#rate),
    );
  }

  /**
   * @param {Numbers | undefined} known undefined if the queue has no agents
   * @param {View} view
   */
  show(known, view) {
    const numbers = known ?? zeros();
    for (const [name, { part, number }] of this.#numbers) {
      const figure = numbers[/** @type {keyof Numbers} */ (name)];
      setText(number, String(figure));
      part.classList.toggle("zero", !figure);
      part.hidden = name === "unknown" && !figure;
    }
    setText(this.#rate, answerRate(numbers));
    const short = !known || view.isShort(numbers.waiting);
    this.#warning.hidden = !short;
    this.button.classList.toggle("short", short);
    setText(this.#lack, !known ? _("No agents") : numbers.waiting ? _("Few agents waiting") : _("No agent waiting"));
    this.button.setAttribute("aria-pressed", String(view.queues.has(this.button.title)));
  }
}

export class Queues {
  /** @type {Map<string, Card>} */
  #cards = new Map();
  #list;
  #pages;
  #onPress;
  #names = document.createElement("canvas").getContext("2d");
  /** Stays true, so that the columns of the table do not change to and fro. */
  #hasUnknown = false;

  /**
   * @param {HTMLElement} list
   * @param {Pages} pages
   * @param {(queue: string) => void} onPress
   */
  constructor(list, pages, onPress) {
    this.#list = list;
    this.#pages = pages;
    this.#onPress = onPress;
  }

  /**
   * @param {Map<string, Numbers>} queues
   * @param {string[]} gone queues that had agents until recently
   * @param {View} view
   */
  show(queues, gone, view) {
    // A chosen queue stays even without agents, so that it can be deselected.
    const all = [...new Set([...queues.keys(), ...gone, ...view.queues])].sort(compare);
    this.#hasUnknown ||= [...queues.values()].some(({ unknown }) => unknown > 0);
    const names = this.#fit(all, (name) => !queues.has(name) || view.isShort(queues.get(name)?.waiting ?? 0));
    for (const [name, card] of this.#cards) {
      if (!names.includes(name)) {
        card.button.remove();
        this.#cards.delete(name);
      }
    }
    let next = this.#list.firstElementChild;
    for (const name of names) {
      const card = this.#cards.get(name) ?? this.#make(name);
      card.show(queues.get(name), view);
      if (card.button === next) next = next.nextElementSibling;
      else this.#list.insertBefore(card.button, next);
    }
  }

  /**
   * Choose between cards and a table, whose columns are read downwards.
   * @param {string[]} names
   * @param {(name: string) => boolean} isTrouble these come first where not all fit
   * @returns {string[]} those on the present page
   */
  #fit(names, isTrouble) {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const width = this.#list.clientWidth / rem;
    const cards = Math.max(1, Math.floor((width + GAP) / (CARD + GAP)));
    const table = isWall() && names.length > cards;
    this.#list.classList.toggle("table", table);
    if (!table) return this.#pages.slice(_("Queues"), names, names.length || 1);
    const narrow = Math.max(1, Math.floor((width + GAP) / (ROW.width + GAP)));
    const room = Math.max(2, Math.floor((SHARE * innerHeight) / rem / ROW.height));
    // Fewer columns leave room for names, unless queues would then have to wait for another page.
    const wide = Math.floor((width + GAP) / (this.#rowWidth(names, rem) + GAP));
    const columns = Math.min(narrow, Math.max(1, wide, Math.ceil(names.length / room)));
    // One more row rather than a page for a few queues.
    const most = Math.ceil(names.length / columns) === room + 1 ? room + 1 : room;
    if (names.length > columns * most) names = [...names.filter(isTrouble), ...names.filter((name) => !isTrouble(name))];
    const shown = this.#pages.slice(_("Queues"), names, columns * most);
    this.#list.style.setProperty("--columns", String(columns));
    this.#list.style.setProperty("--rows", String(Math.min(most, Math.ceil(names.length / columns))));
    return shown;
  }

  /**
   * @param {string[]} names
   * @param {number} rem
   * @returns {number} the width of a row that shows its name, in rem
   */
  #rowWidth(names, rem) {
    let longest = NAME.least;
    if (this.#names) {
      this.#names.font = `650 ${0.95 * rem}px ${getComputedStyle(this.#list).fontFamily}`;
      // The beginning of a name is enough to know that it is too long.
      for (const name of names) longest = Math.max(longest, this.#names.measureText(name.slice(0, 100)).width / rem);
    }
    return ROW.width + Math.min(longest, NAME.most) - NAME.least + (this.#hasUnknown ? UNKNOWN : 0);
  }

  /** @param {string} name */
  #make(name) {
    const card = new Card(name);
    card.button.addEventListener("click", () => this.#onPress(name));
    this.#cards.set(name, card);
    return card;
  }
}
