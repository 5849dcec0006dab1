// A limit on how often something is done: turns are given out evenly, in the order in which they were asked for.
import { pause } from '../domain/pause.ts';

export class Pace {
  readonly #intervalMs: number;
  #next = 0;

  constructor(perSecond: number) {
    this.#intervalMs = 1_000 / perSecond;
  }

  async turn(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const at = Math.max(now, this.#next);
    this.#next = at + this.#intervalMs;
    if (at > now) await pause(at - now, signal);
  }
}
