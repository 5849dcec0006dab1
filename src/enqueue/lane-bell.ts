// Tells workers that a queue has jobs for a lane: by PostgreSQL, at once, and then as seldom as it makes no difference.
// Nothing depends on it: workers look for themselves every second.
import { setTimeout as sleep } from 'node:timers/promises';

/** Commits that notify wait for each other, so that one bell serves the jobs of so long. */
const PAUSE_MS = 20;

export interface LaneBellParts {
  notify(queue: string): Promise<unknown>;
  /** Keeps the connection open until it is done. */
  track(work: Promise<unknown>): void;
}

export class LaneBell {
  readonly #parts: LaneBellParts;
  readonly #wanted = new Set<string>();
  #isRinging = false;

  constructor(parts: LaneBellParts) {
    this.#parts = parts;
  }

  /** After the commit. Never throws. */
  ring(queue: string): void {
    this.#wanted.add(queue);
    if (this.#isRinging) return;
    this.#isRinging = true;
    this.#parts.track(this.#ringAll());
  }

  async #ringAll(): Promise<void> {
    while (this.#wanted.size > 0) {
      const queues = [...this.#wanted];
      this.#wanted.clear();
      // Without PostgreSQL there is no hurry: workers find the jobs when it is back.
      await Promise.allSettled(queues.map((queue) => this.#parts.notify(queue)));
      await sleep(PAUSE_MS);
    }
    this.#isRinging = false;
  }
}
