// @ts-check
/** What can be set on the page. */

import { byId } from "./dom.js";

/** @typedef {import("./view.js").View} View */

/**
 * Show a view's settings in the controls, and the other way round.
 * @param {View} view
 * @param {() => void} onChange the view is another one
 */
export function bindControls(view, onChange) {
  const text = byId("text", HTMLInputElement);
  const sort = byId("sort", HTMLSelectElement);
  const talk = byId("talk", HTMLInputElement);
  const ring = byId("ring", HTMLInputElement);
  const sound = byId("sound", HTMLInputElement);
  const settings = byId("settings", HTMLDetailsElement);

  text.value = view.text;
  sort.value = view.sort;
  if (!sort.value) sort.value = view.sort = "extension";
  talk.value = view.talk === null ? "" : String(view.talk / 60);
  ring.value = view.ring === null ? "" : String(view.ring);
  sound.checked = view.sound;

  const changed = () => {
    view.text = text.value;
    view.sort = sort.value;
    view.talk = positive(talk.valueAsNumber * 60);
    view.ring = positive(ring.valueAsNumber);
    view.sound = sound.checked;
    view.save();
    onChange();
  };
  for (const control of [text, sort, talk, ring, sound]) control.addEventListener("input", changed);
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
