// @ts-check
/** The totals on top, and a card for each queue. */

import { element, icon, setText } from "./dom.js";
import { NUMBERS, WORDS } from "./states.js";

/** @typedef {import("./store.js").Numbers} Numbers */

export class Totals {
  /** @type {Map<string, {part: HTMLElement, number: HTMLElement}>} */
  #parts = new Map();

  /** @param {HTMLElement} list */
  constructor(list) {
    for (const name of /** @type {const} */ ([...NUMBERS, "unknown"])) {
      const number = element("dd", "", "–");
      const part = element("div", "", element("dt", "", icon(name), WORDS[name]), number);
      part.dataset.state = name;
      this.#parts.set(name, { part, number });
      list.append(part);
    }
  }

  /** @param {Numbers | null} numbers null as long as nothing is known */
  show(numbers) {
    for (const [name, { part, number }] of this.#parts) {
      setText(number, numbers ? String(numbers[/** @type {keyof Numbers} */ (name)]) : "–");
      // That a state cannot be read is the exception.
      part.hidden = name === "unknown" && !numbers?.unknown;
    }
  }
}

class Card {
  #name = element("span", "name");
  #warning = element("span", "warning", icon("warning"), element("span", "", "No agent waiting"));
  /** @type {Map<string, HTMLElement>} */
  #numbers = new Map();
  button = element("button", "queue");

  /** @param {string} name */
  constructor(name) {
    setText(this.#name, name);
    this.button.type = "button";
    this.button.title = name;
    const numbers = NUMBERS.map((state) => {
      const number = element("span");
      this.#numbers.set(state, number);
      const shown = element("span", "number", icon(state), number, element("span", "unseen", ` ${WORDS[state].toLowerCase()}, `));
      shown.dataset.state = state;
      shown.title = WORDS[state];
      return shown;
    });
    this.button.append(element("span", "title", this.#name, this.#warning), element("span", "numbers", ...numbers));
  }

  /**
   * @param {Numbers} numbers
   * @param {boolean} pressed
   */
  show(numbers, pressed) {
    for (const [state, shown] of this.#numbers) {
      const number = numbers[/** @type {keyof Numbers} */ (state)];
      setText(shown, String(number));
      shown.classList.toggle("zero", !number);
    }
    this.#warning.hidden = numbers.waiting > 0;
    this.button.setAttribute("aria-pressed", String(pressed));
  }
}

export class Queues {
  /** @type {Map<string, Card>} */
  #cards = new Map();
  #list;
  #onPress;

  /**
   * @param {HTMLElement} list
   * @param {(queue: string) => void} onPress
   */
  constructor(list, onPress) {
    this.#list = list;
    this.#onPress = onPress;
  }

  /**
   * @param {Map<string, Numbers>} queues
   * @param {ReadonlySet<string>} chosen
   */
  show(queues, chosen) {
    for (const [name, card] of this.#cards) {
      if (!queues.has(name)) {
        card.button.remove();
        this.#cards.delete(name);
      }
    }
    let next = this.#list.firstElementChild;
    for (const [name, numbers] of queues) {
      const card = this.#cards.get(name) ?? this.#make(name);
      card.show(numbers, chosen.has(name));
      if (card.button === next) next = next.nextElementSibling;
      else this.#list.insertBefore(card.button, next);
    }
  }

  /** @param {string} name */
  #make(name) {
    const card = new Card(name);
    card.button.addEventListener("click", () => this.#onPress(name));
    this.#cards.set(name, card);
    return card;
  }
}
