// @ts-check
/** The wallboard: connects the server's messages, the view and the parts of the page. */

import { Alerts } from "./alerts.js";
import { ServerClock } from "./clock.js";
import { bindControls } from "./controls.js";
import { byId, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { startKiosk } from "./kiosk.js";
import { linkDay } from "./links.js";
import { connectionLost, feedDown, Notice, warning } from "./notice.js";
import { Pages } from "./pages.js";
import { Sound } from "./sound.js";
import { ringingSince, Store, totals } from "./store.js";
import { forgetColours } from "./strip.js";
import { Queues, Totals } from "./summary.js";
import { Tiles } from "./tiles.js";
import { View } from "./view.js";
import { _, listed } from "./words.js";

const REDRAW = 5;

const clock = new ServerClock();
const store = new Store();
const view = new View();
const sound = new Sound();
const notice = new Notice();
const alerts = new Alerts(clock);
const pages = new Pages(render);
const tiles = new Tiles(byId("agents", HTMLElement), store, pages, knownUntil);
const numbers = new Totals(byId("totals", HTMLElement));
const queues = new Queues(byId("queues", HTMLElement), pages, press);

const all = byId("all", HTMLButtonElement);
const dark = byId("dark", HTMLLinkElement);
const system = dark.media;

let known = false;
let requested = false;
/** @type {number | null} when the connection was lost */
let lostSince = null;
let heardAt = clock.now();

/** @returns {number} now, or the start of the outage */
function knownUntil() {
  if (store.feed.up === false && store.feed.since !== null) return store.feed.since;
  return lostSince ?? clock.now();
}

/** @returns {number} now, or when the connection was lost: until then the condition of the feed is known */
function heardUntil() {
  return lostSince ?? clock.now();
}

/** @param {number} signedIn agents in all queues */
function trouble(signedIn) {
  if (lostSince !== null) return connectionLost(lostSince, clock);
  if (store.feed.up === false) return feedDown(store.feed.since, store.feed.error, clock);
  if (!known) return null;
  if (!signedIn) return warning(_("Nobody is signed in"));
  const gone = store.gone();
  const queues = `${listed(gone.slice(0, 3))}${gone.length > 3 ? " …" : ""}`;
  return gone.length ? warning(_("No agents in {queues}", { queues })) : null;
}

/** Draw the page with the next frame, once for all changes until then. */
function render() {
  if (requested) return;
  requested = true;
  requestAnimationFrame(() => {
    requested = false;
    draw();
  });
}

function draw() {
  const total = totals(store.agents(new Set()));
  const chosen = view.choose(store.agents(view.queues), knownUntil());
  const counts = totals(chosen);
  const perQueue = store.queues();
  notice.show(trouble(total["signed-in"]), known);
  // Before the agents, who are fitted to the room that is left.
  alerts.show(store.alerts, heardUntil(), knownUntil());
  linkDay(view.queues);
  numbers.show(known ? counts : null, ringingSince(chosen), view);
  if (known) queues.show(perQueue, store.gone(), view);
  all.hidden = !view.queues.size;
  const seats = [...perQueue.values()].reduce((sum, queue) => sum + queue["signed-in"], 0);
  byId("several", HTMLElement).hidden = seats <= total["signed-in"];
  const nobody = byId("nobody", HTMLElement);
  nobody.hidden = !known || chosen.length > 0;
  setText(nobody, view.text || view.queues.size ? _("No agent matches the selection.") : _("Nobody is signed in."));
  tiles.show(chosen);
  tiles.draw();
  tick();
}

function tick() {
  const now = clock.now();
  setText(byId("clock", HTMLElement), known ? clock.timeOfDay(now) : "");
  notice.tick(now);
  alerts.tick(heardUntil(), knownUntil());
  numbers.tick(knownUntil());
  const { changed, more } = tiles.tick(view);
  if (more && view.sound) sound.play();
  return changed;
}

/** @param {string} queue */
function press(queue) {
  if (!view.queues.delete(queue)) view.queues.add(queue);
  view.save();
  render();
}

function setTheme() {
  dark.media = view.theme === "dark" ? "all" : view.theme === "light" ? "not all" : system;
  document.documentElement.dataset.theme = view.theme ?? "system";
  redraw();
}

function redraw() {
  forgetColours();
  tiles.drawAnew();
}

all.addEventListener("click", () => {
  view.queues.clear();
  view.save();
  // The button disappears, and keyboard users need a new focus.
  byId("agents", HTMLElement).focus({ preventScroll: true });
  render();
});

bindControls(view, () => {
  if (view.sound) sound.allow();
  setTheme();
  render();
});
setTheme();
if (view.kiosk) startKiosk();
if (view.sound) addEventListener("pointerdown", () => sound.allow(), { once: true });
addEventListener("resize", render);
// A style sheet of the other theme may load late.
dark.addEventListener("load", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
notice.show(null, false);
numbers.show(null, null, view);

new Feed({
  onBoard(message) {
    const wasUp = store.feed.up;
    store.apply(message);
    if (wasUp !== store.feed.up) tiles.drawAnew();
    known ||= store.feed.up === true || store.feed.since !== null;
    const isNew = alerts.note(store.alerts);
    if ((isNew || (wasUp && store.feed.up === false)) && view.sound) sound.play();
    render();
  },
  onBeat(beat) {
    clock.note(beat.now, beat.clock);
    heardAt = clock.now();
  },
  onLost() {
    lostSince = heardAt;
    render();
  },
  onBack() {
    lostSince = null;
    render();
  },
});

let seconds = 0;
setInterval(() => {
  seconds += 1;
  pages.tick();
  if (tick()) render();
  if (seconds % REDRAW === 0) {
    store.prune(clock.now());
    tiles.drawAnew();
  }
}, 1000);
