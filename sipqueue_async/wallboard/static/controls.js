// @ts-check
/** The controls of the page. */

import { byId, element } from "./dom.js";
import { WORDS } from "./states.js";
import { THRESHOLDS } from "./view.js";
import { _ } from "./words.js";

/** @typedef {import("./view.js").View} View */

/** In minutes; the others are in seconds. */
const MINUTES = new Set(["talking", "idle", "paused"]);

/**
 * Show a view's settings in the controls, and change the view when they change.
 * @param {View} view
 * @param {() => void} onChange called after a change of the view
 */
export function bindControls(view, onChange) {
  const text = byId("text", HTMLInputElement);
  const sort = byId("sort", HTMLSelectElement);
  const least = byId("least", HTMLInputElement);
  const sound = byId("sound", HTMLInputElement);
  const theme = byId("theme", HTMLSelectElement);
  const language = byId("language", HTMLSelectElement);
  const settings = byId("settings", HTMLDetailsElement);

  text.value = view.text;
  sort.value = view.sort;
  if (!sort.value) sort.value = view.sort = "trouble";
  least.value = String(view.least ?? "");
  sound.checked = view.sound;
  theme.value = view.theme ?? "";
  if (!theme.value) view.theme = null;
  language.value = view.language ?? "";

  const limits = THRESHOLDS.map(([state, parameter]) => {
    const [unit, seconds] = MINUTES.has(state) ? [_("min"), 60] : [_("s"), 1];
    const input = element("input");
    Object.assign(input, { id: parameter, type: "number", min: "0", step: "any", inputMode: "decimal" });
    const limit = view.limits.get(state) ?? null;
    input.value = limit === null ? "" : String(limit / seconds);
    byId("limits", HTMLElement).append(element("label", "", _("{state} longer than", { state: WORDS[state] }), element("span", "", input, ` ${unit}`)));
    return { state, input, seconds };
  });

  const changed = () => {
    view.text = text.value;
    view.sort = sort.value;
    for (const { state, input, seconds } of limits) view.limits.set(state, positive(input.valueAsNumber * seconds));
    view.least = positive(least.valueAsNumber);
    view.sound = sound.checked;
    view.theme = theme.value || null;
    view.save();
    onChange();
  };
  for (const control of [text, sort, least, sound, theme, ...limits.map(({ input }) => input)]) {
    control.addEventListener("input", changed);
  }
  language.addEventListener("change", () => {
    view.language = language.value || null;
    view.save();
    // The server writes the page in its language.
    location.reload();
  });
  for (const form of document.querySelectorAll("#controls, #thresholds")) {
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  settings.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !settings.open) return;
    settings.open = false;
    settings.querySelector("summary")?.focus();
  });
  document.addEventListener("pointerdown", (event) => {
    if (event.target instanceof Node && !settings.contains(event.target)) settings.open = false;
  });
}

/**
 * @param {number} number
 * @returns {number | null}
 */
function positive(number) {
  return number > 0 && number < Infinity ? number : null;
}
