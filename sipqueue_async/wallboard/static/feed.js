// @ts-check
/** The connection to the server: server-sent events, and a check that it is alive. */

import { language } from "./words.js";

/** @typedef {import("./store.js").Message} Message */
/** @typedef {{now: number, clock: number, every: number}} Beat */
/**
 * @typedef {object} Listener
 * @property {(message: Message) => void} onBoard something changed
 * @property {(beat: Beat) => void} onBeat a heartbeat
 * @property {() => void} onLost the connection is lost; it is retried
 * @property {() => void} onBack the connection is back
 */

const PATIENCE = 3;
const FIRST_RETRY = 1000;
const LONGEST_RETRY = 15000;

export class Feed {
  /** @type {EventSource | null} */
  #source = null;
  #heardAt = performance.now();
  #every = 5;
  #lost = false;
  #retry = FIRST_RETRY;
  /** @type {number | undefined} */
  #timer;
  #listener;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#connect();
    setInterval(() => this.#watch(), 500);
  }

  #connect() {
    this.#source?.close();
    this.#timer = undefined;
    this.#heardAt = performance.now();
    const source = new EventSource(`events?lang=${language}`);
    source.addEventListener("beat", (event) => {
      /** @type {Beat} */
      const beat = JSON.parse(event.data);
      this.#every = beat.every;
      this.#heard();
      this.#listener.onBeat(beat);
    });
    source.addEventListener("board", (event) => {
      this.#heard();
      this.#listener.onBoard(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      this.#lose();
      // The browser retries by itself, but not after an unexpected response.
      if (source.readyState === EventSource.CLOSED) this.#tryAgain();
    });
    this.#source = source;
  }

  #heard() {
    this.#heardAt = performance.now();
    this.#retry = FIRST_RETRY;
    if (this.#lost) {
      this.#lost = false;
      this.#listener.onBack();
    }
  }

  /** Notice a connection that is dead without an error. */
  #watch() {
    const silence = performance.now() - this.#heardAt;
    if (this.#timer === undefined && silence > Math.max(PATIENCE * this.#every * 1000, 2000)) {
      this.#lose();
      this.#tryAgain();
    }
  }

  #lose() {
    if (!this.#lost) {
      this.#lost = true;
      this.#listener.onLost();
    }
  }

  #tryAgain() {
    this.#source?.close();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      if (await mustLogIn()) location.assign(`login${location.search}`);
      else this.#connect();
    }, this.#retry);
    this.#retry = Math.min(2 * this.#retry, LONGEST_RETRY);
  }
}

/** @returns {Promise<boolean>} whether the server asks for the access key, which the event stream cannot tell */
async function mustLogIn() {
  try {
    const answer = await fetch("api/snapshot", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    return answer.status === 401;
  } catch {
    return false;
  }
}
