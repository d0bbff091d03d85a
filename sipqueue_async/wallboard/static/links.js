// @ts-check
/** Links from the wallboard to the pages of its history, if it has one. */

/** The link in the header; null without a history. A screen without controls has no links, which lead away from it. */
const link = new URLSearchParams(location.search).get("kiosk") === "1" ? null : document.querySelector("a#history");

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
 * @returns {string}
 */
function query(queues) {
  const kept = new URLSearchParams();
  const theme = new URLSearchParams(location.search).get("theme");
  if (queues.length === 1) kept.set("queue", queues[0] ?? "");
  if (theme) kept.set("theme", theme);
  return kept.size ? `?${kept}` : "";
}
