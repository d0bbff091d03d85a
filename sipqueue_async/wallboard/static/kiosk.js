// @ts-check
/** Kiosk mode for unattended screens: full screen, always on, protected against burn-in. */

const SHIFT_EVERY = 60_000;
const SHIFTS = [[0, 0], [2, 0], [2, 2], [0, 2]];

/** Start the kiosk mode. */
export function startKiosk() {
  document.documentElement.classList.add("kiosk");
  // Browsers allow full screen only after a touch; their own kiosk options need none.
  addEventListener("pointerdown", () => void document.documentElement.requestFullscreen?.().catch(() => {}));
  void stayAwake();
  document.addEventListener("visibilitychange", () => void stayAwake());
  let shift = 0;
  setInterval(() => {
    shift = (shift + 1) % SHIFTS.length;
    document.body.style.translate = /** @type {number[]} */ (SHIFTS[shift]).map((it) => `${it}px`).join(" ");
  }, SHIFT_EVERY);
}

/** Keep the screen on, where the browser supports it: over HTTPS and on this machine. */
async function stayAwake() {
  try {
    if (document.visibilityState === "visible") await navigator.wakeLock?.request("screen");
  } catch {
    // The system refuses, for instance on low battery.
  }
}
