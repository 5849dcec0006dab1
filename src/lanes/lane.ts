// A lane: claims rows of one job type in one queue and runs them, until the queue is empty. Each claim is for slots that are
// free now, so that a row is STARTED only when it really starts. A slot is free as soon as its handler has ended: writing the
// end is not waited for, and stragglers hold nobody up.
import { AttemptStopped, type AttemptEnd, type RunningAttempt, type StopReason } from '../domain/attempt.ts';
import type { LanePolicy } from '../domain/job-policy.ts';
import type { LaneEnd, LaneReceipt, LaneRef } from '../domain/lane.ts';
import type { LaneRequest, LaneRows, Log, StartedRow } from '../domain/ports.ts';
import { Alarm } from './alarm.ts';

/** The list of what the worker's process runs. */
export interface LaneList {
  /** Ids of the jobs on it. */
  readonly jobs: readonly string[];
  /** Runs a claim: no beat says what runs here before what it got is listed. */
  claiming(claim: () => Promise<StartedRow[]>): Promise<StartedRow[]>;
  /** Takes a job off the list. */
  ended(started: StartedRow): void;
}

export interface LaneParts extends LaneRef {
  workflowId: string | null;
  runId: string;
  policy: LanePolicy;
  crashRetries: number;
  rows: LaneRows;
  list: LaneList;
  run(started: StartedRow, stop: AbortSignal): RunningAttempt;
  /** How often STARTED rows are looked for that nobody runs. */
  takeoverIntervalMs: number;
  /** Time that running attempts get after the worker was told to end, until their signal aborts. */
  drainTimeoutMs: number;
  log: Log;
}

/** A lane is over after so long, or so many jobs: the next one follows. Temporal's UI and histories stay readable. */
const LASTS_MAX_MS = 10 * 60_000;
const JOBS_MAX = 50_000;
/** Slots that become free one by one are filled a few at a time. */
const CLAIM_EVERY_MS = 5;
/** Nobody rings for what becomes due. */
const LOOK_EVERY_MS = 1_000;
/** A timer may be a little early. */
const EARLY_MS = 5;
/** Ends that are still to be written; more would be work that a crash repeats. */
const UNWRITTEN_MAX = 1_000;

export class Lane {
  readonly #parts: LaneParts;
  readonly #alarm = new Alarm();
  readonly #stop = new AbortController();
  readonly #startedAt = performance.now();
  readonly #underWay = new Set<Promise<void>>();
  readonly #claimsNoMore = Promise.withResolvers<void>();
  #handlers = 0;
  #jobs = 0;
  #why: LaneEnd | null = null;
  #isLost = false;
  #claimedAt = -Infinity;
  #tookOverAt = -Infinity;
  #isAway = false;
  #mayHaveMore = true;

  constructor(parts: LaneParts) {
    this.#parts = parts;
  }

  /** Resolves when it has begun its last claim, and has its answer. */
  get claimsNoMore(): Promise<void> {
    return this.#claimsNoMore.promise;
  }

  /** Temporal has given it up; the rows know better. It goes on until another one takes its place. */
  get isLost(): boolean {
    return this.#isLost;
  }

  lost(): void {
    this.#isLost = true;
  }

  /** There may be something to claim. */
  wake(): void {
    this.#mayHaveMore = true;
    this.#alarm.ring();
  }

  /** No further claims. What runs may end by itself; where the worker or people wait for it, within the drain time. */
  close(why: LaneEnd): void {
    this.#why ??= why;
    this.#alarm.ring();
    if (why !== 'shutdown' && why !== 'cancelled') return;
    const reason: StopReason = why === 'shutdown' ? 'shutdown' : 'lost';
    const late = setTimeout(() => this.#stop.abort(new AttemptStopped(reason)), this.#parts.drainTimeoutMs);
    void this.#ended().then(() => clearTimeout(late));
  }

  /** Until it was closed, or the queue is empty, and until what it ran has ended. Never rejects. */
  async run(): Promise<LaneReceipt> {
    let emptySince: number | null = null;
    while (this.#why === null) {
      const now = performance.now();
      if (!this.#isLost && (now - this.#startedAt > LASTS_MAX_MS || this.#jobs >= JOBS_MAX)) this.close('full');
      const limit = this.#freeSlots();
      if (limit === 0) await this.#alarm.wait(LOOK_EVERY_MS);
      else if (this.#isWorthALook() && (await this.#fill(limit))) emptySince = null;
      else if (this.#underWay.size > 0) await this.#alarm.wait(LOOK_EVERY_MS);
      else {
        emptySince ??= now;
        const leftMs = emptySince + this.#parts.policy.lingerMs - performance.now();
        if (leftMs <= 0) this.close('empty');
        else await this.#alarm.wait(Math.min(leftMs, LOOK_EVERY_MS));
      }
    }
    this.#claimsNoMore.resolve();
    await this.#ended();
    return { jobs: this.#jobs, why: this.#why };
  }

  #freeSlots(): number {
    return Math.max(0, Math.min(this.#parts.policy.concurrency - this.#handlers, UNWRITTEN_MAX - this.#underWay.size));
  }

  /** A slot that becomes free is no reason to ask again for what was not there a moment ago. */
  #isWorthALook(): boolean {
    return this.#mayHaveMore || performance.now() - Math.max(this.#claimedAt, this.#tookOverAt) > LOOK_EVERY_MS - EARLY_MS;
  }

  /** Whether there was something to run. */
  async #fill(limit: number): Promise<boolean> {
    const sinceMs = performance.now() - this.#claimedAt;
    if (sinceMs < CLAIM_EVERY_MS && limit < this.#parts.policy.concurrency / 2) {
      await new Promise((resolve) => setTimeout(resolve, CLAIM_EVERY_MS - sinceMs));
      if (this.#why !== null) return true;
    }
    const { rows, takeoverIntervalMs } = this.#parts;
    const isTakeover = performance.now() - this.#tookOverAt > takeoverIntervalMs;
    if (isTakeover) this.#tookOverAt = performance.now();
    else this.#claimedAt = performance.now();
    this.#mayHaveMore = false;
    const { asked, some } = await this.#claim((request) => (isTakeover ? rows.takeOver(request) : rows.claim(request)));
    if (isTakeover || some.length === asked) this.#mayHaveMore = true;
    for (const started of some) this.#begin(started);
    return isTakeover || some.length > 0;
  }

  async #claim(claim: (request: LaneRequest) => Promise<StartedRow[]>): Promise<{ asked: number; some: StartedRow[] }> {
    const { jobType, queue, worker, workflowId, runId, crashRetries, list, log } = this.#parts;
    let asked = 0;
    try {
      const some = await list.claiming(() => {
        asked = this.#freeSlots();
        return claim({ jobType, queue, worker, workflowId, runId, crashRetries, running: list.jobs, limit: asked });
      });
      this.#isAway = false;
      return { asked, some };
    } catch (error) {
      // Once per outage. What was claimed and not heard of is taken over, by this lane or another one.
      if (!this.#isAway) log.warn({ err: error, jobType, queue }, 'a lane cannot claim jobs now; it tries again');
      this.#isAway = true;
      return { asked: 0, some: [] };
    }
  }

  #begin(started: StartedRow): void {
    this.#jobs++;
    this.#handlers++;
    const { handlerEnded, ended } = this.#parts.run(started, this.#stop.signal);
    let hasSlot = true;
    const freeSlot = () => {
      if (!hasSlot) return;
      hasSlot = false;
      this.#handlers--;
      this.#alarm.ring();
    };
    void handlerEnded.then(freeSlot);
    const underWay: Promise<void> = this.#untilEnded(started, ended).then(async () => {
      freeSlot(); // also from a handler that goes on after its time limit
      this.#underWay.delete(underWay);
      if (this.#underWay.size === UNWRITTEN_MAX - 1) this.#alarm.ring();
      await handlerEnded;
      this.#parts.list.ended(started);
    });
    this.#underWay.add(underWay);
  }

  async #untilEnded({ ref }: StartedRow, ended: Promise<AttemptEnd>): Promise<void> {
    try {
      const end = await ended;
      // Later ones are found by looking.
      if (end.kind === 'retry' && end.delayMs < LOOK_EVERY_MS) setTimeout(() => this.wake(), end.delayMs).unref();
    } catch (error) {
      // The row stays STARTED: a lane takes it over.
      this.#parts.log.error({ err: error, jobType: ref.jobType, jobId: ref.id }, 'the end of an attempt could not be written');
    }
  }

  async #ended(): Promise<void> {
    await this.#claimsNoMore.promise;
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }
}
