// Makes one write of many small ones: what arrives while a write is under way goes with the next one.
import { AsyncLocalStorage } from 'node:async_hooks';

/** Writes items and says of each what became of it; a rejection concerns them all. */
export type WriteMany<Item, Result> = (items: Item[]) => Promise<PromiseSettledResult<Result>[]>;

interface Waiting<Item, Result> {
  item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

export class Coalescer<Item, Result> {
  readonly #write: WriteMany<Item, Result>;
  readonly #itemsMax: number;
  readonly #gatherMs: number;
  #waiting: Waiting<Item, Result>[] = [];
  #isWriting = false;
  #begin: (() => void) | null = null;
  /** A write belongs to nobody's request or transaction. */
  readonly #outside = AsyncLocalStorage.snapshot();

  /** `gatherMs`: the first of them waits so long for others; 0: for what the present turn of the event loop brings. */
  constructor(write: WriteMany<Item, Result>, itemsMax: number, gatherMs = 0) {
    this.#write = write;
    this.#itemsMax = itemsMax;
    this.#gatherMs = gatherMs;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#isWriting) return;
      this.#isWriting = true;
      const timer = this.#gatherMs === 0 ? setImmediate(() => this.flush()) : setTimeout(() => this.flush(), this.#gatherMs);
      this.#begin = () => {
        clearTimeout(timer as NodeJS.Timeout);
        void this.#outside(() => this.#writeAll());
      };
    });
  }

  /** Writes now what it gathers. */
  flush(): void {
    const begin = this.#begin;
    this.#begin = null;
    begin?.();
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const some = this.#waiting.splice(0, this.#itemsMax);
      try {
        const results = await this.#write(some.map(({ item }) => item));
        for (const [i, result] of results.entries()) {
          if (result.status === 'fulfilled') some[i]!.resolve(result.value);
          else some[i]!.reject(result.reason);
        }
      } catch (error) {
        for (const { reject } of some) reject(error);
      }
    }
    this.#isWriting = false;
  }
}
