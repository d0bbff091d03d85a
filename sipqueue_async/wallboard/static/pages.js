// @ts-check
/** Turns the pages if not all agents or queues fit on the screen. */

import { byId, setText } from "./dom.js";
import { _ } from "./words.js";

const SECONDS = 10;
const PAUSE = 60;

/** Where the page scrolls instead: on phones. */
const scrolls = matchMedia("(max-width: 46rem), (max-height: 26rem)");

/** @returns {boolean} whether everything is to fit on the screen */
export function isWall() {
  return !scrolls.matches;
}

export class Pages {
  #bar = byId("pages", HTMLElement);
  #text = byId("page", HTMLElement);
  #turn = 0;
  #left = SECONDS;
  #most = 1;
  /** @type {Map<string, {page: number, pages: number, shown: number, all: number}>} */
  #parts = new Map();
  #onTurn;

  /** @param {() => void} onTurn another page is to be shown */
  constructor(onTurn) {
    this.#onTurn = onTurn;
    for (const [id, step] of /** @type {const} */ ([["previous", -1], ["next", 1]])) {
      byId(id, HTMLButtonElement).addEventListener("click", () => this.#go(step, PAUSE));
    }
    for (const kind of ["pointerdown", "keydown"]) {
      addEventListener(kind, () => { this.#left = PAUSE; });
    }
  }

  /**
   * @template Item
   * @param {string} noun of the items, in the plural, with a capital
   * @param {Item[]} items
   * @param {number} capacity items on a page
   * @returns {Item[]} those on the present page
   */
  slice(noun, items, capacity) {
    const pages = Math.max(1, Math.ceil(items.length / capacity));
    const page = ((this.#turn % pages) + pages) % pages;
    const slice = items.slice(page * capacity, (page + 1) * capacity);
    this.#parts.set(noun, { page, pages, shown: slice.length, all: items.length });
    this.#write();
    return slice;
  }

  /** A second has passed. */
  tick() {
    this.#left -= 1;
    if (this.#left <= 0) this.#go(1, SECONDS);
  }

  /**
   * @param {number} step
   * @param {number} seconds until the next turn
   */
  #go(step, seconds) {
    this.#left = seconds;
    if (this.#most < 2) return;
    this.#turn += step;
    this.#onTurn();
  }

  #write() {
    const parts = [...this.#parts].filter(([, { pages }]) => pages > 1);
    this.#most = Math.max(1, ...parts.map(([, { pages }]) => pages));
    this.#bar.hidden = !parts.length;
    const texts = parts.map(
      ([noun, { page, pages, shown, all }]) =>
        _("{noun} {page} of {pages}: {hidden} of {all} not shown", { noun, page: page + 1, pages, hidden: all - shown, all }),
    );
    setText(this.#text, texts.join(" · "));
  }
}
