// Makes one write of many small ones: what arrives while a write is under way goes with the next one.
import { AsyncLocalStorage } from 'node:async_hooks';

/** Writes items and says of each what became of it; a rejection concerns them all. */
export type WriteMany<Item, Result> = (items: Item[]) => Promise<PromiseSettledResult<Result>[]>;

interface Waiting<Item, Result> {
  item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** A write that takes longer is left to itself: who comes meanwhile must not wait for whatever it waits for. */
const SLOW_MS = 200;

export class Coalescer<Item, Result> {
  readonly #write: WriteMany<Item, Result>;
  readonly #itemsMax: number;
  readonly #gatherMs: number;
  #waiting: Waiting<Item, Result>[] = [];
  /** The one that takes what is waiting, or will in a moment. */
  #writer: object | null = null;
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
      if (this.#writer !== null) return;
      const writer = (this.#writer = {});
      const timer = this.#gatherMs === 0 ? setImmediate(() => this.flush()) : setTimeout(() => this.flush(), this.#gatherMs);
      this.#begin = () => {
        clearTimeout(timer as NodeJS.Timeout);
        void this.#outside(() => this.#writeAll(writer));
      };
    });
  }

  /** Writes now what it gathers. */
  flush(): void {
    const begin = this.#begin;
    this.#begin = null;
    begin?.();
  }

  async #writeAll(writer: object): Promise<void> {
    while (this.#writer === writer && this.#waiting.length > 0) {
      const slow = setTimeout(() => this.#passBy(), SLOW_MS);
      await this.#writeSome(this.#waiting.splice(0, this.#itemsMax));
      clearTimeout(slow);
    }
    if (this.#writer === writer) this.#writer = null;
  }

  async #writeSome(some: Waiting<Item, Result>[]): Promise<void> {
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

  #passBy(): void {
    this.#writer = null;
    if (this.#waiting.length === 0) return;
    const writer = (this.#writer = {});
    void this.#outside(() => this.#writeAll(writer));
  }
}
