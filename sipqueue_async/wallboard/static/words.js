// @ts-check
/** The page's words in its language. The scripts have them in English; the server puts the translations into the page. */

/** Between a context and a word, as in gettext. */
const END_OF_CONTEXT = "\u0004";

/** @type {Record<string, string>} translations; empty in English */
const known = JSON.parse(document.getElementById("words")?.textContent || "{}");

/** The page's language. */
export const language = document.documentElement.lang;

/** @typedef {Record<string, string | number>} Values those of the names in braces */

/**
 * @param {string} english
 * @param {Values} [values]
 * @returns {string} in the page's language
 */
export function _(english, values) {
  return fill(known[english] ?? english, values);
}

/**
 * @param {string} context tells apart what is one word in English
 * @param {string} english
 * @returns {string} in the page's language
 */
export function pgettext(context, english) {
  return known[`${context}${END_OF_CONTEXT}${english}`] ?? english;
}

/**
 * @param {string} one English for 1, with {number}
 * @param {string} many English for other numbers; Chinese has one form for all
 * @param {number} number
 * @returns {string} in the page's language
 */
export function ngettext(one, many, number) {
  return fill(known[one] ?? (number === 1 ? one : many), { number });
}

/**
 * @param {string[]} items
 * @returns {string} with commas between them
 */
export function listed(items) {
  return items.join(_(", "));
}

/**
 * @param {string} template
 * @param {Values} [values] braces in a value, which may be a name, stay as they are
 * @returns {string}
 */
function fill(template, values = {}) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
