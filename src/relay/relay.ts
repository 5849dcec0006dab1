// Sweeps what was committed and never dispatched: the process that enqueued died, Temporal was away, or the row was
// inserted by SQL. Every worker process has one; a job is dispatched by one of them at a time.
import type { CommittedRun, DispatchResult, Log, UndispatchedRunSource } from '../domain/ports.ts';
import { pause } from '../domain/pause.ts';

export interface RelayParts {
  source: UndispatchedRunSource;
  dispatch(run: CommittedRun): Promise<DispatchResult>;
  /** Resolves when the rows say what was dispatched. */
  noted(): Promise<void>;
  intervalMs: number;
  log: Log;
}

/** More than the deadline of a start call: who enqueued may still be waiting for an overloaded Temporal. */
const GRACE_MS = 6_000;
const BATCH_SIZE = 100;
const DISPATCHES_AT_ONCE = 20;
/** While Temporal is away, sweeps become rarer up to this. */
const AWAY_INTERVAL_MAX_MS = 15_000;
/** A job that waits longer for its dispatch is worth a warning, as often as this. */
const LATE_AFTER_MS = 60_000;
const SAY_LATE_EVERY_MS = 60_000;

/** What a sweep found: at most a batch, and not what other relays work on. */
export interface Undispatched {
  found: number;
  oldestMs: number;
}

export class Relay {
  readonly #parts: RelayParts;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #lastSweep: Undispatched | null = null;
  #saidLateAt = -Infinity;

  constructor(parts: RelayParts) {
    this.#parts = parts;
  }

  /** `null` while there is none, or the last one failed. */
  get lastSweep(): Undispatched | null {
    return this.#lastSweep;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { intervalMs, log } = this.#parts;
    let pauseMs = intervalMs;
    while (!this.#stop.signal.aborted) {
      try {
        const { found, away } = await this.sweep();
        if (away) pauseMs = Math.min(Math.max(pauseMs * 2, intervalMs), Math.max(intervalMs, AWAY_INTERVAL_MAX_MS));
        else pauseMs = found === BATCH_SIZE ? 0 : intervalMs; // a full batch: there is more
      } catch (error) {
        this.#lastSweep = null;
        log.warn({ err: error }, 'the sweep for undispatched jobs failed; it is repeated');
        pauseMs = Math.min(Math.max(pauseMs * 2, intervalMs), Math.max(intervalMs, AWAY_INTERVAL_MAX_MS));
      }
      // Jitter: relays that started together do not sweep together.
      await pause(pauseMs * (0.75 + Math.random() / 2), this.#stop.signal);
    }
  }

  /** One sweep. */
  async sweep(): Promise<{ found: number; away: boolean }> {
    let away = false;
    const found = await this.#parts.source.sweep({ graceMs: GRACE_MS, limit: BATCH_SIZE }, async (runs) => {
      const oldestMs = Math.round(Math.max(0, ...runs.map(({ ageMs }) => ageMs)));
      const undispatched = { found: runs.length, oldestMs };
      this.#lastSweep = undispatched;
      if (runs.length === 0) return;
      const queue = runs.values();
      let dispatched = 0;
      const next = async () => {
        for (const run of queue) {
          if (away || this.#stop.signal.aborted) return;
          const result = await this.#parts.dispatch(run);
          if (result === 'dispatched') dispatched++;
          away ||= result === 'away';
        }
      };
      await Promise.all(Array.from({ length: DISPATCHES_AT_ONCE }, next));
      // The next sweep, of whichever relay, must not find them again.
      await this.#parts.noted();
      // Those that were committed late, by a long transaction, are on their way now.
      if (dispatched < runs.length) this.#warnIfLate(undispatched);
      this.#parts.log.info(
        { found: runs.length, dispatched, oldestMs },
        away ? 'Temporal is away: committed jobs wait for their dispatch' : 'dispatched what was left behind',
      );
    });
    return { found, away };
  }

  #warnIfLate(undispatched: Undispatched): void {
    if (undispatched.oldestMs < LATE_AFTER_MS || performance.now() - this.#saidLateAt < SAY_LATE_EVERY_MS) return;
    this.#saidLateAt = performance.now();
    const { found, oldestMs } = undispatched;
    this.#parts.log.warn(undispatched, `committed jobs waited up to ${Math.round(oldestMs / 1_000)} s for their dispatch (${found} found)`);
  }
}
