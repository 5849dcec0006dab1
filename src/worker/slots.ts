// The limit of running attempts that the queues of one process share. Each queue has a Temporal worker of its own,
// which may hold as many tasks as the whole process may run; they wait here in the order in which they came.
import type { AttemptSlots } from '../../activities/index.ts';

interface Waiting {
  grant(): void;
}

export class FairSlots implements AttemptSlots {
  #free: number;
  readonly #queue = new Set<Waiting>();

  constructor(size: number) {
    this.#free = size;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  async acquire(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    let isHeld = true;
    return () => {
      if (isHeld) this.#release();
      isHeld = false;
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#queue.delete(waiting);
        reject(signal.reason as Error);
      };
      const waiting: Waiting = {
        grant: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      this.#queue.add(waiting);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** A slot goes from hand to hand: a newcomer cannot overtake those who wait. */
  #release(): void {
    const [first] = this.#queue;
    if (first === undefined) {
      this.#free++;
      return;
    }
    this.#queue.delete(first);
    first.grant();
  }
}
