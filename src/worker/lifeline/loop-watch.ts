// Decides from the main loop's ticks how long it has been blocked, and when that is worth a word.

/** Blocks shorter than this are nobody's business. */
export const BLOCK_MIN_MS = 1_000;
const SAY_AT_MS = [BLOCK_MIN_MS, 5_000, 30_000];
const SAY_EVERY_MS = 60_000;
/** Between two looks more time may pass when the whole machine slept or was busy: that is no block. */
const STEP_MAX_MS = 300;

export interface LoopNews {
  /** How long the loop has not turned; 0 when it does. */
  blockedMs: number;
  /** Now it should be said that it is blocked. */
  isWorthSaying: boolean;
  /** How long a block lasted that is over with this look; `null`: none ended. */
  endedAfterMs: number | null;
}

export class LoopWatch {
  #ticks: number;
  #lookedAt: number;
  #blockedMs = 0;
  #said = 0;

  constructor(ticks: number, nowMs: number) {
    this.#ticks = ticks;
    this.#lookedAt = nowMs;
  }

  /** Call it several times a second. */
  look(ticks: number, nowMs: number): LoopNews {
    const stepMs = Math.min(nowMs - this.#lookedAt, STEP_MAX_MS);
    this.#lookedAt = nowMs;
    if (ticks !== this.#ticks) {
      const endedAfterMs = this.#blockedMs >= BLOCK_MIN_MS ? this.#blockedMs : null;
      this.#ticks = ticks;
      this.#blockedMs = 0;
      this.#said = 0;
      return { blockedMs: 0, isWorthSaying: false, endedAfterMs };
    }
    this.#blockedMs += stepMs;
    const isWorthSaying = this.#blockedMs >= sayAtMs(this.#said);
    if (isWorthSaying) this.#said++;
    return { blockedMs: this.#blockedMs, isWorthSaying, endedAfterMs: null };
  }
}

function sayAtMs(said: number): number {
  return SAY_AT_MS[said] ?? (said - SAY_AT_MS.length + 1) * SAY_EVERY_MS;
}
