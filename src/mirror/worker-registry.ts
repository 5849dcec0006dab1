// This process's row in the worker registry: registered at the start, renewed every few seconds with the jobs it runs,
// marked stopped at an orderly end. Others read it to tell a living execution from a dead one.
import type { Pool } from 'pg';
import { settlesWithin } from '../domain/pause.ts';
import type { Log } from '../domain/ports.ts';
import { beatIntervalMs, beatQuery, renewalQuery, type BeatSource } from './beat.ts';

/** Beats that another thread sends for this process while its event loop is blocked. */
export interface BeatsFromOutside {
  listed(jobId: string): void;
  unlisted(jobId: string): void;
  /** Resolves once no beat is under way that may not know the list as it is now; null when there is none. */
  inFlight(): Promise<void> | null;
  /** Whether a claim is under way: which jobs it starts is known with its answer. */
  claiming(isUnderWay: boolean): void;
  /** What `tell` tells goes as one message. */
  together(tell: () => void): void;
  /** The row was renewed by a beat that was sent then (`process.hrtime.bigint()`). */
  renewed(sentAt: bigint): void;
}

/** A job on the list of what the process runs. */
export interface Listing {
  /** Resolves when the job's start may be sent. Never rejects. */
  inForce: Promise<void>;
  /** Takes the job off the list. */
  end(): void;
}

const NONE: BeatsFromOutside = {
  listed() {},
  unlisted() {},
  inFlight: () => null,
  claiming() {},
  together: (tell) => tell(),
  renewed() {},
};

export class WorkerRegistry {
  readonly #pool: Pool;
  readonly #source: BeatSource;
  readonly #log: Log;
  readonly #outside: BeatsFromOutside;
  readonly #running = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #beat: Promise<void> | null = null;
  #claims = 0;
  #claimsAnswered = Promise.withResolvers<void>();
  #isAway = false;

  constructor(pool: Pool, source: BeatSource, log: Log, outside: BeatsFromOutside = NONE) {
    this.#pool = pool;
    this.#source = source;
    this.#log = log;
    this.#outside = outside;
  }

  get id(): string {
    return this.#source.worker.id;
  }

  /** Ids of the jobs that the process is busy with. */
  get jobs(): string[] {
    return [...this.#running.keys()];
  }

  /** How many attempts of this job the process is busy with. */
  running(jobId: string): number {
    return this.#running.get(jobId) ?? 0;
  }

  /**
   * Lists the job, until after its outcome is answered. Its start may be sent once the listing is in force: a beat with an
   * older list that came after the start would have others take the job for abandoned
   * (integration/worker-registry: "a listing waits for a beat that does not know it").
   */
  list(jobId: string): Listing {
    const before = this.running(jobId);
    this.#running.set(jobId, before + 1);
    if (before === 0) this.#outside.listed(jobId);
    const inForce = Promise.all([this.#beat, this.#outside.inFlight()]).then(() => undefined);
    let isListed = true;
    return {
      inForce,
      end: () => {
        if (isListed) this.#unlist(jobId);
        isListed = false;
      },
    };
  }

  /**
   * Runs a claim, which starts jobs that are not listed yet: no beat begins before its answer. `claim` lists what it got before
   * it resolves (integration/worker-registry: "a beat waits for the answer to a claim").
   */
  async claiming<R>(claim: () => Promise<R>): Promise<R> {
    while (this.#beat) await this.#beat;
    this.#claims++;
    this.#outside.claiming(true);
    try {
      await this.#outside.inFlight();
      return await claim();
    } finally {
      if (--this.#claims === 0) {
        this.#outside.claiming(false);
        this.#claimsAnswered.resolve();
        this.#claimsAnswered = Promise.withResolvers();
      }
    }
  }

  /** What is listed or unlisted in `change` goes to the outside as one message. */
  together(change: () => void): void {
    this.#outside.together(change);
  }

  #unlist(jobId: string): void {
    const left = this.running(jobId) - 1;
    if (left > 0) {
      this.#running.set(jobId, left);
      return;
    }
    this.#running.delete(jobId);
    this.#outside.unlisted(jobId);
  }

  /** Registers the worker and keeps its row alive. While PostgreSQL is away it is repeated, and no job is started. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.beat(), beatIntervalMs(this.#source));
    await this.beat();
  }

  /** Renews the row, and makes it anew when it is gone (a restored database). Beats never overlap. */
  beat(): Promise<void> {
    return (this.#beat ??= this.#renew().finally(() => (this.#beat = null)));
  }

  async #renew(): Promise<void> {
    if (this.#pool.ending) return clearInterval(this.#timer);
    // Claims that come now wait for the beat.
    const isKnown = this.#claims === 0 || (await settlesWithin(this.#claimsAnswered.promise, beatIntervalMs(this.#source)));
    const sentAt = process.hrtime.bigint();
    try {
      // A claim that waits for a connection must not cost the worker its row.
      const { rowCount } = await this.#pool.query(isKnown ? beatQuery(this.#source, this.jobs) : renewalQuery(this.#source));
      if (rowCount) this.#outside.renewed(sentAt);
      if (this.#isAway) this.#log.info({}, 'the worker registry can be renewed again');
      this.#isAway = false;
    } catch (error) {
      // Once per outage, not once per beat.
      if (!this.#isAway) this.#log.warn({ err: error }, 'the worker registry cannot be renewed; no job is started until it can');
      this.#isAway = true;
    }
  }

  /** An orderly end: what this worker still held counts no crash. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beat;
    await this.#pool.query(`update ${this.#source.workers} set stopped_at = now(), seen_at = now(), jobs = '[]' where id = $1`, [this.id]);
  }

  /** No orderly end: what was left running may still be at work, and the row says so for as long as the process lives. */
  abandon(): void {
    this.#timer?.unref();
  }
}
