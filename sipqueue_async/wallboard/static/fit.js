// @ts-check
/** How large the tiles can be, so that all of them fit on the screen. */

const WIDTH = 11.2;
const HEIGHT = 5.9;
const GAP = 0.5;
const LARGEST = 2.6;
const SMALLEST = 0.78;

/**
 * @typedef {object} Fit
 * @property {number} columns
 * @property {number} scale of what is in a tile; 1 is the page's own size of letters
 * @property {number} row the height of a row in rem
 */

/**
 * @param {number} count of tiles
 * @param {number} width that there is for them, in rem
 * @param {number} height that there is for them, in rem
 * @returns {Fit} the largest tiles with which all fit; or else small ones, with which the page scrolls
 */
export function fit(count, width, height) {
  /** @type {Fit | null} */
  let best = null;
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const room = { width: (width - (columns - 1) * GAP) / columns, height: (height - (rows - 1) * GAP) / rows };
    const scale = Math.min(room.width / WIDTH, room.height / HEIGHT, LARGEST);
    if (scale >= SMALLEST && scale > (best?.scale ?? 0)) {
      best = { columns, scale, row: Math.min(room.height, HEIGHT * scale * 1.5) };
    }
  }
  if (best) return best;
  const columns = Math.max(1, Math.floor((width + GAP) / (WIDTH * SMALLEST + GAP)));
  const scale = Math.min(1, (width - (columns - 1) * GAP) / columns / WIDTH);
  return { columns, scale, row: HEIGHT * scale };
}
