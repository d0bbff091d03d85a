// @ts-check
/** The grid of agents: one tile each, made once and then changed only where needed. */

import { duration } from "./clock.js";
import { element, icon, setIcon, setText } from "./dom.js";
import { fit } from "./fit.js";
import { agentPage } from "./links.js";
import { isWall } from "./pages.js";
import { WORDS } from "./states.js";
import { drawStrip } from "./strip.js";
import { _, listed } from "./words.js";

/** @typedef {import("./pages.js").Pages} Pages */
/** @typedef {import("./store.js").Agent} Agent */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./view.js").View} View */

class Tile {
  #name;
  #extension = element("span", "extension");
  #icon = icon("unknown");
  #word = element("span", "word");
  #code = element("span", "code");
  #answered = element("span");
  #missed = element("span");
  #time = element("span", "time");
  #canvas = element("canvas");
  item = element(
    "li",
    "tile",
    element(
      "div",
      "state",
      this.#icon,
      this.#word,
      this.#code,
      element("span", "calls", icon("answered"), this.#answered, " ", icon("missed"), this.#missed),
    ),
    element("div", "since", this.#extension, this.#time),
    this.#canvas,
  );
  /** Whether it is visible on the screen. */
  visible = false;
  /** Whether its strip is outdated. */
  #undrawn = true;
  agent;

  /** @param {Agent} agent */
  constructor(agent) {
    this.#canvas.setAttribute("aria-hidden", "true");
    this.agent = agent;
    const page = agentPage(agent.extension);
    this.#name = element(page ? "a" : "span", "name");
    if (page) this.#name.setAttribute("href", page);
    this.item.prepend(this.#name);
    this.#write();
  }

  /** @param {Agent} agent */
  show(agent) {
    const { seats } = this.agent;
    this.agent = agent;
    // An unchanged seat is the same object.
    if (seats.length === agent.seats.length && seats.every((seat, index) => seat === agent.seats[index])) return;
    this.#undrawn = true;
    this.#write();
  }

  #write() {
    const { agent } = this;
    setText(this.#name, agent.name || agent.extension);
    setText(this.#extension, agent.name ? agent.extension : "");
    setText(this.#word, WORDS[agent.state]);
    setText(this.#code, agent.state === "unknown" ? String(agent.code) : "");
    setText(this.#answered, String(sum(agent, "answered")));
    setText(this.#missed, String(sum(agent, "missed")));
    this.item.dataset.state = agent.state;
    this.#code.title = this.#code.textContent ?? "";
    const title = listed([agent.name || agent.extension, agent.extension, ...agent.seats.map((seat) => seat.queue)]);
    if (this.item.title !== title) this.item.title = title;
  }

  /**
   * @param {number} now
   * @param {boolean} overdue
   */
  tick(now, overdue) {
    setText(this.#time, `${this.agent.approximate ? "≥ " : ""}${duration(now - this.agent.since)}`);
    if (this.item.dataset.overdue !== String(overdue)) this.item.dataset.overdue = String(overdue);
    setIcon(this.#icon, overdue ? "warning" : this.agent.state);
  }

  /**
   * Draw the strip if it is visible and outdated.
   * @param {Store} store
   * @param {number} now
   */
  draw(store, now) {
    if (!this.visible || !this.#undrawn) return;
    this.#undrawn = false;
    drawStrip(this.#canvas, this.agent, store, now);
  }

  /** Mark the strip as outdated. */
  invalidate() {
    this.#undrawn = true;
  }
}

/**
 * @param {Agent} agent
 * @param {"answered" | "missed"} figure
 * @returns {number} of all its queues
 */
function sum(agent, figure) {
  return agent.seats.reduce((total, seat) => total + seat[figure], 0);
}

export class Tiles {
  /** @type {Agent[]} */
  #agents = [];
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** @type {WeakMap<Element, Tile>} */
  #byItem = new WeakMap();
  /** @type {Set<string>} */
  #overdue = new Set();
  #list;
  #store;
  #pages;
  #now = () => 0;
  #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const tile = this.#byItem.get(target);
      if (!tile) continue;
      tile.visible = isIntersecting;
      tile.draw(this.#store, this.#now());
    }
  });

  /**
   * @param {HTMLElement} list
   * @param {Store} store
   * @param {Pages} pages
   * @param {() => number} now the moment up to which the status is known
   */
  constructor(list, store, pages, now) {
    this.#list = list;
    this.#store = store;
    this.#pages = pages;
    this.#now = now;
  }

  /** @param {Agent[]} agents all of them, in order; those of the present page are shown */
  show(agents) {
    this.#agents = agents;
    const before = this.#tiles;
    this.#tiles = new Map();
    for (const agent of this.#pages.slice(_("Agents"), agents, this.#fit(agents.length))) {
      const tile = before.get(agent.extension) ?? this.#make(agent);
      tile.show(agent);
      this.#tiles.set(agent.extension, tile);
    }
    for (const [extension, tile] of before) {
      if (!this.#tiles.has(extension)) {
        this.#observer.unobserve(tile.item);
        tile.item.remove();
      }
    }
    this.#arrange();
  }

  /** @param {Agent} agent */
  #make(agent) {
    const tile = new Tile(agent);
    this.#byItem.set(tile.item, tile);
    this.#observer.observe(tile.item);
    return tile;
  }

  /** Put the tiles in order, moving only those that are not where they should be. */
  #arrange() {
    let next = this.#list.firstElementChild;
    for (const { item } of this.#tiles.values()) {
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
    }
  }

  /**
   * @param {View} view
   * @returns {{changed: boolean, more: boolean}} whether other agents stand out than before, and whether more do
   */
  tick(view) {
    const now = this.#now();
    const before = this.#overdue;
    this.#overdue = new Set(this.#agents.filter((agent) => view.isOverdue(agent, now)).map((agent) => agent.extension));
    for (const [extension, tile] of this.#tiles) tile.tick(now, this.#overdue.has(extension));
    const more = [...this.#overdue].some((extension) => !before.has(extension));
    return { changed: more || before.size !== this.#overdue.size, more };
  }

  /** Redraw all strips: time has passed, or the colours changed. */
  drawAnew() {
    for (const tile of this.#tiles.values()) tile.invalidate();
    this.draw();
  }

  /** Draw the outdated strips. */
  draw() {
    const now = this.#now();
    for (const tile of this.#tiles.values()) tile.draw(this.#store, now);
  }

  /**
   * Choose the tiles' size.
   * @param {number} count
   * @returns {number} how many fit on a page
   */
  #fit(count) {
    const list = this.#list;
    const wall = isWall();
    const { columns, size, row, compact, capacity } = wall
      ? fit(count, list.clientWidth, list.clientHeight, document.documentElement.clientWidth)
      : { columns: 0, size: 0, row: 0, compact: false, capacity: Math.max(1, count) };
    list.style.setProperty("--columns", wall ? String(columns) : "");
    list.style.setProperty("--size", wall ? `${size.toFixed(2)}px` : "");
    list.style.setProperty("--row", wall ? `${row.toFixed(2)}px` : "");
    list.classList.toggle("compact", compact);
    list.classList.toggle("scrolls", !wall);
    list.classList.toggle("far", !wall && count > 100);
    return capacity;
  }
}
