// How often a job may be looked at one by one: what looked doubtful and was in order less and less often, and what has to
// be repaired again and again less often still.
import { jobKey } from '../domain/identity.ts';
import type { JobRef } from '../domain/ports.ts';

const LOOK_INTERVAL_MAX_MS = 15_000;
const REPAIR_INTERVAL_MAX_MS = 5 * 60_000;

export class Patience {
  readonly #intervalMs: number;
  readonly #seen = new Map<string, { notBefore: number; waitMs: number; differed: boolean }>();

  /** The first wait. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  isDue(job: JobRef): boolean {
    return (this.#seen.get(jobKey(job))?.notBefore ?? 0) <= Date.now();
  }

  /** Notes a look; returns whether the job differed at the one before, too. */
  saw(job: JobRef, differed: boolean): boolean {
    const before = this.#seen.get(jobKey(job));
    const waitMs = Math.min((before?.waitMs ?? this.#intervalMs / 2) * 2, differed ? REPAIR_INTERVAL_MAX_MS : LOOK_INTERVAL_MAX_MS);
    this.#seen.set(jobKey(job), { notBefore: Date.now() + waitMs, waitMs, differed });
    return before?.differed ?? false;
  }

  /** Forgets jobs that have not been looked at for long. */
  tidy(): void {
    const longAgo = Date.now() - 2 * REPAIR_INTERVAL_MAX_MS;
    for (const [key, { notBefore }] of this.#seen) if (notBefore < longAgo) this.#seen.delete(key);
  }
}
