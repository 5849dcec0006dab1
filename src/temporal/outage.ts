// Remembers that Temporal is away, so that a web process whose every enqueue would wait for the deadline waits once.
import { isAsyncJobError } from '../domain/errors.ts';

const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 10_000;

export class Outage {
  #pauseMs = 0;
  #until = 0;
  #probing = false;
  #last: unknown;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Runs `call`; after one that failed with `temporal.unavailable` the next ones throw its error at once, for 1 s
   * growing to 10 s. Then one call may try (`isProbe`), and any answer ends the outage.
   */
  async guard<T>(call: (isProbe: boolean) => Promise<T>): Promise<T> {
    const isProbe = this.#pauseMs > 0;
    if (isProbe && (this.#probing || this.#now() < this.#until)) throw this.#last;
    this.#probing = isProbe;
    try {
      const answer = await call(isProbe);
      this.#pauseMs = 0;
      return answer;
    } catch (error) {
      if (isAsyncJobError(error, 'temporal.unavailable')) this.#failed(error);
      else this.#pauseMs = 0;
      throw error;
    } finally {
      if (isProbe) this.#probing = false;
    }
  }

  /** Calls that were under way together are one failure. */
  #failed(error: unknown): void {
    if (this.#pauseMs > 0 && this.#now() < this.#until) return;
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, PAUSE_MIN_MS), PAUSE_MAX_MS);
    this.#until = this.#now() + this.#pauseMs;
    this.#last = error;
  }
}
