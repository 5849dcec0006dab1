// Compares open rows with Temporal, all the time and a portion after the other. One worker of the application does it.
import { isAsyncJobError } from '../domain/errors.ts';
import { jobKey } from '../domain/identity.ts';
import { isSettled } from '../domain/lifecycle.ts';
import type { OpenRunSource, RunFacts, RunRef } from '../domain/ports.ts';
import { Examiner, logDifference, type Difference, type ExaminerParts } from './examiner.ts';
import { Patience } from './patience.ts';
import { pause } from '../domain/pause.ts';
import type { RepairKind } from './plan-repairs.ts';

export interface ReconcilerParts extends ExaminerParts {
  rows: OpenRunSource;
  intervalMs: number;
  /** Whether the error concerns everything, and not the one row that was looked at. */
  isTransient(error: unknown): boolean;
  /** Told of every repair that was carried out, and of every report. */
  onRepair(kind: RepairKind): void;
}

const ROWS_AT_ONCE = 200;
const REQUESTS_AT_ONCE = 10;
/** Who leads keeps it for so long after its last pass: longer than a pass takes. */
const LEASE_MIN_MS = 20_000;
/** How often all executions are walked for those whose row is settled. */
const LEFTOVERS_INTERVAL_MS = 60_000;
const FORGET_INTERVAL_MS = 3_600_000;
/** Temporal's lists lag behind, and its clock is another one at first. */
const LIST_LAG_MS = 10_000;
const CLOCK_LAG_MS = 10 * 60_000;

export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #stop = new AbortController();
  readonly #examiner: Examiner;
  readonly #patience: Patience;
  #loop: Promise<void> = Promise.resolve();
  #walkBeginsAnew = true;
  /** By Temporal's clock. */
  #endedSince = new Date(Date.now() - CLOCK_LAG_MS);
  #pages: AsyncGenerator<RunRef[]> | null = null;
  #pagesNotBefore = 0;
  #forgetNotBefore = Date.now() + FORGET_INTERVAL_MS;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#examiner = new Examiner(parts, this.#stop.signal);
    this.#patience = new Patience(parts.intervalMs);
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    const { rows, intervalMs, log } = this.#parts;
    let isFailing = false;
    while (!this.#isStopped) {
      let goOn = false;
      try {
        if (await rows.lead(Math.max(LEASE_MIN_MS, 4 * intervalMs))) goOn = await this.#pass();
        isFailing = false;
      } catch (error) {
        // Once per outage, not once per pass. An unreachable Temporal is the relay's to report.
        if (!isFailing && !isAsyncJobError(error, 'temporal.unavailable'))
          log.warn({ err: error }, 'open jobs could not be compared with Temporal; it is repeated');
        isFailing = true;
      }
      await pause(goOn ? 0 : intervalMs * (0.75 + Math.random() / 2), this.#stop.signal);
    }
  }

  /** A look at a portion of everything; returns whether the next one shall follow at once. */
  async #pass(): Promise<boolean> {
    const { rows } = this.#parts;
    const doubtful = await rows.doubtful(ROWS_AT_ONCE);
    const portion = await rows.next(ROWS_AT_ONCE);
    const isAll = this.#walkBeginsAnew && portion.isLast;
    this.#walkBeginsAnew = portion.isLast;
    const suspects = [...doubtful, ...(await this.#examiner.notExecuting(portion.rows))];
    // Too many rows to see them all in every pass: those whose execution has ended meanwhile are asked for.
    if (!isAll) suspects.push(...(await this.#endedMeanwhile()));
    const repaired = await this.#examineAll(suspects);
    if (!this.#isStopped) await this.#sweepLeftovers();
    this.#patience.tidy();
    if (Date.now() > this.#forgetNotBefore && !this.#isStopped) {
      this.#forgetNotBefore = Date.now() + FORGET_INTERVAL_MS;
      await rows.forgetWorkers();
    }
    // Where something was wrong more is likely, and the pace of the requests is limit enough.
    return repaired > 0 && !isAll;
  }

  /** Open rows whose execution has ended, other than by completing, since the last time. */
  async #endedMeanwhile(): Promise<RunFacts[]> {
    const ended = await this.#examiner.list((executions) => executions.endedSince(this.#endedSince));
    if (ended === null) return [];
    if (ended.newest !== null) this.#endedSince = new Date(ended.newest.getTime() - LIST_LAG_MS);
    const jobs = await this.#parts.rows.ofJobs(ended.runs);
    return ended.runs.flatMap((run) => {
      const row = jobs.get(jobKey(run));
      return row && row.run === run.run && !isSettled(row.status) ? [row] : [];
    });
  }

  async #examineAll(suspects: readonly RunFacts[]): Promise<number> {
    const due = new Map(suspects.filter((row) => this.#patience.isDue(row)).map((row) => [jobKey(row), row]));
    const queue = due.values();
    let repaired = 0;
    const outages: unknown[] = [];
    const next = async () => {
      for (const row of queue) {
        if (this.#isStopped || outages.length > 0) return;
        const difference = await this.#examine(row);
        if (difference?.repaired) repaired++;
      }
    };
    await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, () => next().catch((error: unknown) => outages.push(error))));
    if (outages.length > 0) throw outages[0];
    return repaired;
  }

  /** A row that cannot be repaired must not hold up the others. */
  async #examine(row: RunFacts): Promise<Difference | null> {
    const { log, isTransient } = this.#parts;
    try {
      const difference = await this.#examiner.examine(row, { repair: true });
      const differedBefore = this.#patience.saw(row, difference !== null);
      // A report stays as it is until somebody acts: it is said once.
      if (difference && !(difference.kind === 'report' && differedBefore)) this.#tell(difference);
      return difference;
    } catch (error) {
      if (isAsyncJobError(error, 'temporal.unavailable') || isTransient(error)) throw error;
      this.#patience.saw(row, true);
      log.warn({ err: error, jobType: row.jobType, jobId: row.id, run: row.run }, 'a job could not be compared with Temporal, or repaired');
      return null;
    }
  }

  #tell(difference: Difference): void {
    logDifference(this.#parts.log, difference);
    if (difference.repaired || difference.kind === 'report') this.#parts.onRepair(difference.kind);
  }

  /** A page of the executions that go on, now and then. */
  async #sweepLeftovers(): Promise<void> {
    if (this.#pages === null && Date.now() < this.#pagesNotBefore) return;
    const pages = (this.#pages ??= this.#parts.executions.openRuns());
    const page = await this.#examiner.list(() => pages.next());
    if (page?.done !== false) {
      this.#pages = null;
      this.#pagesNotBefore = Date.now() + LEFTOVERS_INTERVAL_MS;
      return;
    }
    for await (const difference of this.#examiner.examineLeftovers(page.value, { repair: true })) this.#tell(difference);
  }
}
