// @ts-check
/** The grid of agents: a tile for each, made once and then changed only where it has to be. */

import { duration } from "./clock.js";
import { element, icon, setIcon, setText } from "./dom.js";
import { fit } from "./fit.js";
import { WORDS } from "./states.js";
import { drawStrip } from "./strip.js";

/** @typedef {import("./store.js").Agent} Agent */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./view.js").View} View */

class Tile {
  #name = element("span", "name");
  #extension = element("span", "extension");
  #icon = icon("unknown");
  #word = element("span", "word");
  #code = element("span", "code");
  #time = element("span", "time");
  #canvas = element("canvas");
  item = element(
    "li",
    "tile",
    this.#name,
    element("div", "state", this.#icon, this.#word, this.#code),
    element("div", "since", this.#extension, this.#time),
    this.#canvas,
  );
  /** Whether it is on the screen. */
  visible = false;
  /** Whether its strip is not what it should be. */
  #undrawn = true;
  agent;

  /** @param {Agent} agent */
  constructor(agent) {
    this.#canvas.setAttribute("aria-hidden", "true");
    this.agent = agent;
    this.#write();
  }

  /** @param {Agent} agent */
  show(agent) {
    const { seats } = this.agent;
    this.agent = agent;
    // What the server has not told anew is the same object.
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
    this.item.dataset.state = agent.state;
    this.#code.title = this.#code.textContent ?? "";
    const title = `${agent.name || agent.extension}, ${agent.extension}, ${agent.seats.map((seat) => seat.queue).join(", ")}`;
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
   * Draw the strip, if it can be seen and is not what it should be.
   * @param {Store} store
   * @param {number} now
   */
  draw(store, now) {
    if (!this.visible || !this.#undrawn) return;
    this.#undrawn = false;
    drawStrip(this.#canvas, this.agent, store, now);
  }

  /** Have the strip drawn anew. */
  blot() {
    this.#undrawn = true;
  }
}

export class Tiles {
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** @type {WeakMap<Element, Tile>} */
  #byItem = new WeakMap();
  /** @type {Set<string>} */
  #overdue = new Set();
  #list;
  #store;
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
   * @param {() => number} now the time up to which anything is known
   */
  constructor(list, store, now) {
    this.#list = list;
    this.#store = store;
    this.#now = now;
    addEventListener("resize", () => this.fit());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.drawAnew());
  }

  /** @param {Agent[]} agents in the order in which they are to be shown */
  show(agents) {
    const before = this.#tiles;
    this.#tiles = new Map();
    for (const agent of agents) {
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
    if (before.size !== this.#tiles.size) this.fit();
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
   * @returns {boolean} whether an agent stands out who did not before
   */
  tick(view) {
    const now = this.#now();
    const before = this.#overdue;
    this.#overdue = new Set();
    for (const [extension, tile] of this.#tiles) {
      const overdue = view.isOverdue(tile.agent, now);
      if (overdue) this.#overdue.add(extension);
      tile.tick(now, overdue);
    }
    return [...this.#overdue].some((extension) => !before.has(extension));
  }

  /** Draw all strips anew: time has passed, or they look otherwise. */
  drawAnew() {
    for (const tile of this.#tiles.values()) tile.blot();
    this.draw();
  }

  /** Draw the strips of whoever has changed. */
  draw() {
    const now = this.#now();
    for (const tile of this.#tiles.values()) tile.draw(this.#store, now);
  }

  /** Choose the tiles' size. */
  fit() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const below = parseFloat(getComputedStyle(document.body).paddingBottom);
    const top = this.#list.getBoundingClientRect().top + scrollY;
    const { columns, scale, row } = fit(
      this.#tiles.size,
      this.#list.clientWidth / rem,
      (document.documentElement.clientHeight - top - below - 1) / rem,
    );
    this.#list.style.setProperty("--columns", String(columns));
    this.#list.style.setProperty("--scale", scale.toFixed(3));
    this.#list.style.setProperty("--row", `${row.toFixed(3)}rem`);
    this.#list.classList.toggle("far", this.#tiles.size > 100);
    this.drawAnew();
  }
}
