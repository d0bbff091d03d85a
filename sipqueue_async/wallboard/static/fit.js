// @ts-check
/** Chooses the size of the tiles, and how many pages they need. All lengths are CSS pixels; a form's are in em. */

/** All parts, or name, state and time only: tiles drop parts that are not needed from afar before letters get small. */
const FULL = { width: 11.2, height: 5.9 };
const COMPACT = { width: 11.6, height: 2.65 };

const GAP = 6;
/** Letters of this size can be read from 4 m on a screen 1920 pixels wide; they only get smaller to avoid pages. */
const READABLE = 26;
const SMALLEST = 18;
const LARGEST = 48;
const SCREEN = 1920;
const LEAST_UNIT = 0.7;

/**
 * @typedef {object} Fit
 * @property {number} columns
 * @property {number} size of a tile's letters
 * @property {number} row the height of a row
 * @property {boolean} compact whether tiles show name, state and time only
 * @property {number} capacity tiles on a page
 */

/**
 * @param {number} count of tiles
 * @param {number} width available for them
 * @param {number} height available for them
 * @param {number} screen its width: screens of all resolutions are about as large, so sizes are in proportion to it
 * @returns {Fit} the largest tiles of which all fit; or readable ones on several pages
 */
export function fit(count, width, height, screen) {
  const unit = Math.max(LEAST_UNIT, screen / SCREEN);
  for (const [form, least] of /** @type {const} */ ([[FULL, READABLE], [COMPACT, READABLE], [COMPACT, SMALLEST]])) {
    const best = largest(count, width, height, form, LARGEST * unit);
    if (best.size >= least * unit) return { ...best, compact: form === COMPACT, capacity: Math.max(1, count) };
  }
  const size = Math.min(READABLE * unit, (width - GAP) / COMPACT.width);
  const columns = Math.max(1, Math.floor((width + GAP) / (COMPACT.width * size + GAP)));
  const rows = Math.max(1, Math.floor((height + GAP) / (COMPACT.height * size + GAP)));
  return { columns, size, row: (height + GAP) / rows - GAP, compact: true, capacity: columns * rows };
}

/**
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @param {{width: number, height: number}} form
 * @param {number} limit
 * @returns {{columns: number, size: number, row: number}} the largest tiles of a form of which all fit
 */
function largest(count, width, height, form, limit) {
  let best = { columns: 1, size: 0, row: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.max(1, Math.ceil(count / columns));
    const room = { width: (width - (columns - 1) * GAP) / columns, height: (height - (rows - 1) * GAP) / rows };
    const size = Math.min(room.width / form.width, room.height / form.height, limit);
    if (size > best.size) best = { columns, size, row: Math.min(room.height, form.height * size * 1.5) };
  }
  return best;
}
