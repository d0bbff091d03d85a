// @ts-check
/** A short sound, if enabled. */

const NOTES = [660, 880];

export class Sound {
  /** @type {AudioContext | null} */
  #context = null;

  /** Enable sound. Browsers require a touch or key press before. */
  allow() {
    this.#context ??= new AudioContext();
    void this.#context.resume();
  }

  play() {
    const context = this.#context;
    if (context?.state !== "running") return;
    NOTES.forEach((frequency, index) => {
      const start = context.currentTime + index * 0.16;
      const oscillator = new OscillatorNode(context, { frequency });
      const gain = new GainNode(context, { gain: 0.15 });
      gain.gain.setTargetAtTime(0, start + 0.08, 0.03);
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(start);
      oscillator.stop(start + 0.3);
    });
  }
}
