// @ts-check
/** The strip that shows an agent's recent states. */

import { HEIGHTS, STATES, stateOf } from "./states.js";

/** @typedef {import("./store.js").Agent} Agent */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./states.js").State} State */

/** @type {Map<string, string>} */
const colours = new Map();

/** Read the colours again: the theme changed. */
export function forgetColours() {
  colours.clear();
}

/**
 * @param {string} name of a colour of theme.css
 * @returns {string}
 */
function colour(name) {
  let found = colours.get(name);
  if (found === undefined) {
    found = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
    colours.set(name, found);
  }
  return found;
}

/**
 * Draw the states of all of an agent's seats, the most important on top.
 * @param {HTMLCanvasElement} canvas
 * @param {Agent} agent
 * @param {Store} store
 * @param {number} now
 */
export function drawStrip(canvas, agent, store, now) {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  const context = canvas.getContext("2d");
  if (!width || !height || !context) return;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const start = now - store.window * 1000;
  /** @param {number} moment */
  const x = (moment) => Math.min(1, Math.max(0, (moment - start) / (now - start))) * width;
  context.clearRect(0, 0, width, height);
  for (const state of [...STATES].reverse()) {
    const tall = Math.round(HEIGHTS[state] * height);
    context.fillStyle = colour(state);
    for (const seat of agent.seats) {
      seat.history.forEach(([since, word], index) => {
        const end = seat.history[index + 1]?.[0] ?? now;
        if (word !== null && stateOf(word) === state && end > start) {
          // At least one pixel, so that short states are visible.
          const left = Math.min(x(since), width - 1);
          context.clearRect(left, 0, Math.max(1, x(end) - left), height);
          context.fillRect(left, height - tall, Math.max(1, x(end) - left), tall);
        }
      });
    }
  }
  drawOutages(context, store.outages, { x, now, height });
}

/**
 * Draw a thin line for the time of outages.
 * @param {CanvasRenderingContext2D} context
 * @param {Store["outages"]} outages
 * @param {{x: (moment: number) => number, now: number, height: number}} scale
 */
function drawOutages(context, outages, { x, now, height }) {
  for (const [since, until] of outages) {
    const [left, right] = [x(since ?? 0), x(until ?? now)];
    context.clearRect(left, 0, right - left, height);
    context.fillStyle = colour("gap");
    const thin = Math.max(1, Math.round(height / 8));
    context.fillRect(left, Math.round((height - thin) / 2), right - left, thin);
  }
}
