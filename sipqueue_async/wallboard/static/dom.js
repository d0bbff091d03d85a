// @ts-check
/** Makes elements. Text from outside only becomes text nodes; no code of the page turns text into markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [classes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, classes = "", ...children) {
  const made = document.createElement(tag);
  made.className = classes;
  made.append(...children);
  return made;
}

/**
 * @param {string} name one of the symbols of index.html
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const made = document.createElementNS(SVG, "svg");
  made.classList.add("icon");
  made.setAttribute("aria-hidden", "true");
  made.append(document.createElementNS(SVG, "use"));
  setIcon(made, name);
  return made;
}

/**
 * @param {SVGSVGElement} made
 * @param {string} name
 */
export function setIcon(made, name) {
  const [use, href] = [made.firstElementChild, `#i-${name}`];
  if (use?.getAttribute("href") !== href) use?.setAttribute("href", href);
}

/**
 * Change a text only if it differs, to avoid layout and screen reader announcements.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @template {Element} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind} the element of the page
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}
