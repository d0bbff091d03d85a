// @ts-check
/** Makes the parts of the charts. Text from outside only becomes text nodes. */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {{began_at: number, ended_at: number | null}} Gap a time of which nothing is known */

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 * @param {(Node | string)[]} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/**
 * @param {number} left
 * @param {number} top
 * @param {number} right
 * @param {number} bottom
 * @param {Record<string, string | number>} attributes
 * @param {string} title shown while the pointer rests on it
 */
export function box(left, top, right, bottom, attributes, title = "") {
  const size = { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
  return shape("rect", { ...size, ...attributes }, ...(title ? [shape("title", {}, title)] : []));
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} words
 * @param {Record<string, string | number>} attributes
 */
export function label(x, y, words, attributes = {}) {
  return shape("text", { x, y, "text-anchor": "middle", ...attributes }, words);
}

/**
 * @param {string} id
 * @returns {SVGDefsElement} the pattern of times of which nothing is known
 */
export function hatching(id) {
  const pattern = { id, width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  return shape(
    "defs",
    {},
    shape("pattern", pattern, box(0, 0, 7, 7, { class: "trace" }), box(0, 0, 2.5, 7, { class: "gap" })),
  );
}

/**
 * Set a chart's size, and remove what it shows.
 * @param {SVGSVGElement} svg
 * @param {number} width
 * @param {number} height
 */
export function clear(svg, width, height) {
  // With a view box, a chart that is printed on paper of another width is scaled.
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
}

/** @returns {number} the size of the letters of charts, in pixels */
export function letters() {
  return 0.78 * parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/**
 * @param {string} words
 * @param {number} size
 * @returns {number} about how wide they are, in pixels
 */
export function wide(words, size) {
  // Chinese characters are square.
  return [...words].reduce((sum, letter) => sum + (letter < "\u2e80" ? 0.6 : 1), 0) * size;
}
