// The limit of running attempts that the queues of one process share. Each queue has a Temporal worker of its own,
// which may hold as many tasks as the whole process may run; they wait here in the order in which they came.
import type { AttemptSlots } from '../../activities/index.ts';
import { AttemptStopped } from '../domain/attempt.ts';

interface Waiting {
  grant(): void;
  refuse(reason: unknown): void;
}

export class FairSlots implements AttemptSlots {
  #free: number;
  readonly #queue = new Set<Waiting>();
  #isClosed = false;
  readonly #patienceMs: number;

  /** Who waits longer than `patienceMs` is handed back, since another worker may be idle on that queue. */
  constructor(size: number, patienceMs = 10_000) {
    this.#free = size;
    this.#patienceMs = patienceMs;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  async acquire(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#isClosed) throw new AttemptStopped('shutdown');
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    let isHeld = true;
    return () => {
      if (isHeld) this.#release();
      isHeld = false;
    };
  }

  /** Lets nobody in any more, those who wait included: they are told that the worker shuts down. */
  close(): void {
    this.#isClosed = true;
    for (const waiting of this.#queue) waiting.refuse(new AttemptStopped('shutdown'));
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => waiting.refuse(signal.reason);
      const patience = setTimeout(() => waiting.refuse(new AttemptStopped('lost')), this.#patienceMs);
      const stopWaiting = (): void => {
        clearTimeout(patience);
        signal.removeEventListener('abort', leave);
      };
      const waiting: Waiting = {
        grant: () => {
          stopWaiting();
          resolve();
        },
        refuse: (reason) => {
          stopWaiting();
          this.#queue.delete(waiting);
          reject(reason as Error);
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
