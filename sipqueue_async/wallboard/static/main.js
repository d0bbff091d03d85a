// @ts-check
/** The wallboard: what the server tells, through the view that was chosen, on the page. */

import { ServerClock } from "./clock.js";
import { bindControls } from "./controls.js";
import { byId, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { connectionLost, feedDown, Notice } from "./notice.js";
import { Sound } from "./sound.js";
import { Store, totals } from "./store.js";
import { Queues, Totals } from "./summary.js";
import { Tiles } from "./tiles.js";
import { View } from "./view.js";

const REDRAW = 5;

const clock = new ServerClock();
const store = new Store();
const view = new View();
const sound = new Sound();
const notice = new Notice();
const tiles = new Tiles(byId("agents", HTMLElement), store, knownUntil);
const numbers = new Totals(byId("totals", HTMLElement));
const queues = new Queues(byId("queues", HTMLElement), press);

const all = byId("all", HTMLButtonElement);

let known = false;
let drawn = false;
/** @type {number | null} since when the connection is lost */
let lostSince = null;
let heardAt = clock.now();

/** @returns {number} now, or the moment since which nothing is known */
function knownUntil() {
  if (store.feed.up === false && store.feed.since !== null) return store.feed.since;
  return lostSince ?? clock.now();
}

function trouble() {
  if (lostSince !== null) return connectionLost(lostSince, clock);
  return store.feed.up === false ? feedDown(store.feed.since, store.feed.error, clock) : null;
}

/** Bring the page up to date once the browser draws it, however much happened until then. */
function render() {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    draw();
  });
}

function draw() {
  const agents = store.agents(view.queues);
  const chosen = view.choose(agents);
  const moved = notice.show(trouble(), known);
  numbers.show(known ? totals(chosen) : null);
  if (known) queues.show(store.queues(), view.queues);
  all.hidden = !view.queues.size;
  tiles.show(chosen);
  const nobody = byId("nobody", HTMLElement);
  nobody.hidden = !known || chosen.length > 0;
  setText(nobody, view.text || view.queues.size ? "Nobody fits what was asked for." : "Nobody is signed in.");
  tiles.draw();
  tick();
  if (moved) tiles.fit();
}

function tick() {
  const now = clock.now();
  setText(byId("clock", HTMLElement), known ? clock.timeOfDay(now) : "");
  notice.tick(now);
  if (tiles.tick(view) && view.sound) sound.play();
}

/** @param {string} queue */
function press(queue) {
  if (!view.queues.delete(queue)) view.queues.add(queue);
  view.save();
  render();
}

all.addEventListener("click", () => {
  view.queues.clear();
  view.save();
  // The button goes, and whoever uses the keyboard is to go on from somewhere.
  byId("agents", HTMLElement).focus({ preventScroll: true });
  render();
});

bindControls(view, () => {
  if (view.sound) sound.allow();
  render();
});
if (view.sound) addEventListener("pointerdown", () => sound.allow(), { once: true });
notice.show(null, false);
numbers.show(null);

new Feed({
  onBoard(message) {
    const wasUp = store.feed.up;
    store.apply(message);
    if (wasUp !== store.feed.up) tiles.drawAnew();
    known ||= store.feed.up === true || store.feed.since !== null;
    if (wasUp && store.feed.up === false && view.sound) sound.play();
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
  tick();
  if (seconds % REDRAW === 0) {
    store.prune(clock.now());
    tiles.drawAnew();
  }
}, 1000);
