// How long attempts of this process waited and ran. Metrics hear it.
import type { AttemptEnd } from './attempt.ts';

export interface AttemptListener {
  /** From the moment it was due to its start; only told of attempts whose row knows when that was. */
  waited(of: { jobType: string; queue: string }, ms: number): void;
  /** A handler has ended, or was left to itself at its time limit, after so long; `outcome`: what that meant. */
  ran(of: { jobType: string; queue: string; outcome: AttemptEnd['kind'] }, ms: number): void;
}

export class AttemptTimes implements AttemptListener {
  readonly #listeners = new Set<AttemptListener>();

  /** For good: there is one set of metrics per application. */
  tell(listener: AttemptListener): void {
    this.#listeners.add(listener);
  }

  waited(...said: Parameters<AttemptListener['waited']>): void {
    for (const listener of this.#listeners) listener.waited(...said);
  }

  ran(...said: Parameters<AttemptListener['ran']>): void {
    for (const listener of this.#listeners) listener.ran(...said);
  }
}
