// @ts-check
/** Links from the wallboard to the pages of its history, if it has one. */

/** The link in the header; null without a history. A screen without controls has no links, which lead away from it. */
const link = new URLSearchParams(location.search).get("kiosk") === "1" ? null : document.querySelector("a#history");

const logout = document.querySelector("form[action=logout]");
if (logout) logout.setAttribute("action", `logout${query([], ["lang"])}`);

/**
 * @param {string} extension
 * @returns {string | null} the page of an agent's day; null without a history
 */
export function agentPage(extension) {
  return link && `agents/${encodeURIComponent(extension)}${query([])}`;
}

/**
 * Let the link in the header lead to the queue that is shown.
 * @param {Set<string>} queues
 */
export function linkDay(queues) {
  link?.setAttribute("href", `day${query([...queues])}`);
}

/**
 * @param {string[]} queues the chosen queues; the page of a day shows one or all
 * @param {string[]} names of the other parameters that are kept
 * @returns {string}
 */
function query(queues, names = ["theme", "lang"]) {
  const kept = new URLSearchParams();
  const given = new URLSearchParams(location.search);
  if (queues.length === 1) kept.set("queue", queues[0] ?? "");
  for (const name of names) if (given.get(name)) kept.set(name, given.get(name) ?? "");
  return kept.size ? `?${kept}` : "";
}
