// @ts-check
/** The totals on top, and a card for each queue. */

import { element, icon, setText } from "./dom.js";
import { NUMBERS, WORDS } from "./states.js";
import { compare, zeros } from "./store.js";

/** @typedef {import("./store.js").Numbers} Numbers */

// That a state cannot be read is the exception, and shown only then.
const SHOWN = /** @type {const} */ ([...NUMBERS, "unknown"]);

export class Totals {
  /** @type {Map<string, {part: HTMLElement, number: HTMLElement}>} */
  #parts = new Map();

  /** @param {HTMLElement} list */
  constructor(list) {
    for (const name of SHOWN) {
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
      part.hidden = name === "unknown" && !numbers?.unknown;
    }
  }
}

class Card {
  #name = element("span", "name");
  #lack = element("span");
  #warning = element("span", "warning", icon("warning"), this.#lack);
  /** @type {Map<string, {part: HTMLElement, number: HTMLElement}>} */
  #numbers = new Map();
  button = element("button", "queue");

  /** @param {string} name */
  constructor(name) {
    setText(this.#name, name);
    this.button.type = "button";
    this.button.title = name;
    const numbers = SHOWN.map((state) => {
      const number = element("span");
      const part = element("span", "number", icon(state), number, element("span", "unseen", ` ${WORDS[state].toLowerCase()}, `));
      part.dataset.state = state;
      part.title = WORDS[state];
      this.#numbers.set(state, { part, number });
      return part;
    });
    this.button.append(element("span", "title", this.#name, this.#warning), element("span", "numbers", ...numbers));
  }

  /**
   * @param {Numbers | undefined} known undefined if nobody is in the queue
   * @param {boolean} pressed
   */
  show(known, pressed) {
    const numbers = known ?? zeros();
    for (const [state, { part, number }] of this.#numbers) {
      const count = numbers[/** @type {keyof Numbers} */ (state)];
      setText(number, String(count));
      number.classList.toggle("zero", !count);
      part.hidden = state === "unknown" && !count;
    }
    this.#warning.hidden = numbers.waiting > 0;
    setText(this.#lack, known ? "No agent waiting" : "Nobody is in it");
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
    // One that was chosen stays, whoever is in it: how else could it be let go?
    const names = [...new Set([...queues.keys(), ...chosen])].sort(compare);
    for (const [name, card] of this.#cards) {
      if (!queues.has(name) && !chosen.has(name)) {
        card.button.remove();
        this.#cards.delete(name);
      }
    }
    let next = this.#list.firstElementChild;
    for (const name of names) {
      const card = this.#cards.get(name) ?? this.#make(name);
      card.show(queues.get(name), chosen.has(name));
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
