// @ts-check
/** What both pages of the history share: the chosen day and time zone in the address, and the data, renewed on the present day. */

import { byId, element, setText } from "./dom.js";
import { inWords, momentOf, shifted, timeOf } from "./hours.js";
import { _, language } from "./words.js";

/** @typedef {import("./hours.js").Hour} Hour */
/**
 * @typedef {object} Answer
 * @property {number} every seconds after which to ask again
 * @property {string} date the shown day
 * @property {string} today the present day of the zone
 * @property {string | null} zone null for the server's
 * @property {string} zone_name
 * @property {number} now
 * @property {[number, number] | null} recorded the recorded part of the day
 * @property {"hours" | "zone" | null} removed which figures were removed: those by the hour, or all but other days'
 * @property {{began_at: number, ended_at: number | null, reason: string}[]} outages
 * @property {Hour[]} hours
 * @property {{up: boolean | null, since: number | null, offset: number | null, error: string | null}} feed
 */
/** @typedef {{condition: string, word: string, alert?: string, reason?: string}} Condition */

/** Seconds between requests before the first answer. */
const EVERY = 5;
/** Without an answer for so many times the seconds between requests, the connection counts as lost; then the request is given up. */
const SILENCE = 3;
const PATIENCE = 12;
/** The fewest seconds between requests that these are counted by. */
const SHORTEST = 0.7;
const LOST = _("The connection to the wallboard is lost. Reconnecting…");
const PARAMETERS = ["date", "zone"];
/** What all pages have. */
const KEPT = ["theme", "lang"];
const REMOVED = {
  hours: _("The hours of this day were removed from the database. The day's figures are left."),
  zone: _("The hours of this day were removed from the database. Figures are left only for the days of the time zone that it was pruned with."),
};

/**
 * @template {Answer} Data
 */
export class Past {
  #given = new URLSearchParams(location.search);
  #path;
  #parameters;
  #show;
  /** @type {Data | null} */
  #data = null;
  #asked = 0;
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {string} path of the data, relative to the wallboard
   * @param {string[]} parameters what else the data depends on, and is kept in the address
   * @param {(data: Data) => void} show shows the data; called again when the size of the page changes
   */
  constructor(path, parameters, show) {
    // This file is in "static", so the wallboard may be below any path.
    this.#path = new URL(`../${path}`, import.meta.url);
    this.#parameters = [...PARAMETERS, ...parameters];
    this.#show = show;
    this.#bind();
    this.#link();
    addEventListener("resize", () => this.#draw());
    document.addEventListener("visibilitychange", () => void (document.hidden || this.#load()));
    void this.#load();
  }

  /**
   * @param {string} name
   * @returns {string} the parameter in the page's address
   */
  get(name) {
    return this.#given.get(name) ?? "";
  }

  /**
   * @param {string} name
   * @param {string} value empty for the default
   */
  set(name, value) {
    if (value) this.#given.set(name, value);
    else this.#given.delete(name);
    history.replaceState(null, "", this.#given.size ? `?${this.#given}` : location.pathname);
    this.#link();
    void this.#load();
  }

  /** Let all links keep what is chosen: at once, because a click may come before the answer. */
  #link() {
    for (const link of document.links) {
      const kept = new URLSearchParams();
      for (const name of link.id === "wall" ? KEPT : [...PARAMETERS, ...KEPT]) if (this.get(name)) kept.set(name, this.get(name));
      if (link.search !== (kept.size ? `?${kept}` : "")) link.search = String(kept);
    }
  }

  #bind() {
    const dark = byId("dark", HTMLLinkElement);
    const theme = this.get("theme");
    if (theme === "dark" || theme === "light") {
      dark.media = theme === "dark" ? "screen" : "not all";
      document.documentElement.dataset.theme = theme;
    }
    const date = byId("date", HTMLInputElement);
    const zone = byId("zone", HTMLSelectElement);
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    for (const name of new Set(["", own, this.get("zone")])) zone.append(new Option(name || _("Of the server"), name));
    zone.value = this.get("zone");
    zone.addEventListener("change", () => this.set("zone", zone.value));
    date.addEventListener("change", () => date.value && date.validity.valid && this.#go(date.value));
    byId("before", HTMLElement).addEventListener("click", () => this.#data && this.#go(shifted(this.#data.date, -1)));
    byId("after", HTMLElement).addEventListener("click", () => this.#data && this.#go(shifted(this.#data.date, 1)));
    byId("today", HTMLElement).addEventListener("click", () => this.set("date", ""));
    byId("choice", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
  }

  /** @param {string} date */
  #go(date) {
    this.set("date", date === this.#data?.today ? "" : date);
  }

  async #load() {
    clearTimeout(this.#timer);
    const asked = (this.#asked += 1);
    const url = new URL(this.#path);
    for (const name of this.#parameters) if (this.get(name)) url.searchParams.set(name, this.get(name));
    url.searchParams.set("lang", language);
    let trouble = "";
    let isFinal = false;
    const unit = Math.max(this.#data?.every ?? EVERY, SHORTEST) * 1000;
    // A frozen or unreachable server does not close the connection. Without this, old figures would stay "Live".
    const late = setTimeout(() => asked === this.#asked && this.#data && this.#say(LOST, false), SILENCE * unit);
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE * unit) });
      // The server's redirection leads to the login page.
      if (answer.status === 401) return location.reload();
      if (asked !== this.#asked) return;
      if (answer.ok) this.#data = await answer.json();
      else trouble = _((await answer.text()).trim());
      isFinal = answer.status >= 400 && answer.status < 500;
    } catch {
      trouble = LOST;
    } finally {
      clearTimeout(late);
    }
    if (asked !== this.#asked) return;
    this.#say(trouble, isFinal);
    if (!trouble) this.#draw();
    if (!isFinal && (trouble || this.#isLive)) this.#timer = setTimeout(() => document.hidden || void this.#load(), (this.#data?.every ?? EVERY) * 1000);
  }

  get #isLive() {
    return this.#data?.date === this.#data?.today;
  }

  /**
   * @param {string} trouble
   * @param {boolean} isFinal whether the request was wrong, so that there is nothing to show
   */
  #say(trouble, isFinal) {
    const { condition, word, alert = "", reason = "" } = trouble ? { condition: "lost", word: _("No data"), alert: trouble } : this.#condition();
    setText(byId("alert", HTMLElement), alert);
    setText(byId("reason", HTMLElement), reason);
    byId("trouble", HTMLElement).hidden = !alert;
    const place = byId("condition", HTMLElement);
    setText(place, word);
    place.dataset.condition = condition;
    document.body.dataset.stale = String(Boolean(alert));
    const main = document.querySelector("main");
    if (main) main.hidden = isFinal || !this.#data;
  }

  /** @returns {Condition} what the shown day is, once its data is there */
  #condition() {
    const data = this.#data;
    if (!data) return { condition: "past", word: _("No data") };
    if (data.date > data.today) return { condition: "past", word: _("To come") };
    if (data.date < data.today) return { condition: "past", word: _("Past") };
    const { up, since, offset, error } = data.feed;
    if (up) return { condition: "live", word: _("Live") };
    if (up === null) return { condition: "connecting", word: _("Connecting") };
    const alert =
      since === null
        ? _("No data: the platform has not answered yet.")
        : _("No data since {time}. The page shows what was known then.", { time: momentOf(data.date, since, offset ?? 0) });
    return { condition: "down", word: _("No data"), alert, reason: error ?? "" };
  }

  #draw() {
    const data = this.#data;
    if (!data) return;
    const date = byId("date", HTMLInputElement);
    if (document.activeElement !== date) date.value = data.date;
    byId("today", HTMLButtonElement).disabled = data.date === data.today;
    const server = byId("zone", HTMLSelectElement).options[0];
    if (server && data.zone === null) setText(server, _("Of the server ({zone})", { zone: data.zone_name }));
    const recorded = byId("recorded", HTMLElement);
    recorded.replaceChildren(...this.#recorded(data).map((words) => element("span", "", words)));
    this.#show(data);
    this.#link();
  }

  /**
   * @param {Data} data
   * @returns {string[]} sentences about what is recorded
   */
  #recorded(data) {
    const said = [_("Times are those of {zone}.", { zone: data.zone_name })];
    if (data.hours.length !== 24) said.push(_("The clocks change on this day: it has {hours} hours.", { hours: data.hours.length }));
    if (data.removed) said.push(REMOVED[data.removed]);
    if (data.recorded) {
      const [since, until] = data.recorded.map((moment) => timeOf(data.hours, moment).slice(0, 5));
      said.push(_("Recorded from {since} to {until}.", { since: since ?? "", until: until ?? "" }));
    }
    return said;
  }
}

/**
 * @param {Answer} data
 * @returns {string} the day in words
 */
export function dayOf(data) {
  return inWords(data.date);
}

/**
 * Show either the content, or why there is none.
 * @param {string} nothing empty if there is some
 */
export function showContent(nothing) {
  const place = byId("nothing", HTMLElement);
  setText(place, nothing);
  place.hidden = !nothing;
  byId("content", HTMLElement).hidden = Boolean(nothing);
}
