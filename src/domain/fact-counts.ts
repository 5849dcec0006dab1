// What became of the facts that this process wrote to rows, and how long its attempts took. Metrics read it.
import { AttemptTimes } from './attempt-times.ts';
import type { JobRef, WriteResult } from './ports.ts';

export type Fact =
  | 'dispatched'
  | 'started'
  | 'waiting'
  | 'progress'
  | 'saved'
  | 'succeeded'
  | 'failed'
  | 'handed_back'
  | 'finalized'
  | 'ended'
  | 'next_run';

export interface FactCount {
  fact: Fact;
  result: WriteResult;
  count: number;
}

export class FactCounts {
  readonly attempts = new AttemptTimes();
  readonly #counts = new Map<string, FactCount>();
  readonly #onStale: (fact: Fact, ref: JobRef) => void;

  /** `onStale` hears of each fact that a row refused because others had moved on. */
  constructor(onStale: (fact: Fact, ref: JobRef) => void = () => undefined) {
    this.#onStale = onStale;
  }

  /** Returns `result`. */
  count(fact: Fact, ref: JobRef, result: WriteResult): WriteResult {
    const key = `${fact} ${result}`;
    const counted = this.#counts.get(key);
    if (counted) counted.count++;
    else this.#counts.set(key, { fact, result, count: 1 });
    if (result === 'stale') this.#onStale(fact, ref);
    return result;
  }

  /** Those that happened at least once. */
  all(): FactCount[] {
    return [...this.#counts.values()];
  }
}
