// Compares open rows with Temporal and repairs what differs. One worker of the application does it at a time. Lists of
// executions (visibility) only say where to look: what is done about a row is decided by asking for its own execution.
import { isAsyncJobError, type ErrorRecord } from '../domain/errors.ts';
import { jobKey, runKey } from '../domain/identity.ts';
import type { WhenLost } from '../domain/job-policy.ts';
import type { Execution, ExecutionListing, JobEngine, JobMirror, Log, RunFacts, RunRef } from '../domain/ports.ts';
import { Pace } from './pace.ts';
import { pause } from './pause.ts';
import { planLeftover, planRepair, type Repair, type RepairKind } from './plan-repairs.ts';

/** The tables as the reconciler needs them. */
export interface RowSource {
  /** Runs `work` if this process is the one to look. */
  asLeader(work: () => Promise<void>): Promise<boolean>;
  /** STARTED rows that nobody runs any more, or that shall be revoked. */
  doubtful(limit: number): Promise<RunFacts[]>;
  /** The next rows of an endless walk over what is open; `isLast`: the walk begins anew after these. */
  next(limit: number): Promise<{ rows: RunFacts[]; isLast: boolean }>;
  /** The rows of these runs' jobs, in whatever run they are, by `jobKey`. */
  ofJobs(runs: readonly RunRef[]): Promise<Map<string, RunFacts>>;
}

export interface ReconcilerParts {
  rows: RowSource;
  engine: Pick<JobEngine, 'describe' | 'cancel' | 'terminate'>;
  executions: ExecutionListing;
  mirror: Pick<JobMirror, 'ended' | 'finalized' | 'nextRun'>;
  whenLostOf(jobType: string): WhenLost;
  /** The worker that decides; `null` for a command. */
  worker: string | null;
  /** Told of every repair that was carried out. */
  onRepair?(kind: RepairKind): void;
  log: Log;
}

/** A difference between a row and its execution, and whether it was repaired. */
export interface Difference extends Repair {
  run: RunRef;
  /** False when it was planned only, was a report, or the row had moved on by then. */
  repaired: boolean;
}

const ROWS_AT_ONCE = 200;
/** Requests for single executions, so that a hundred thousand open rows do not flood Temporal. */
const REQUESTS_PER_SECOND = 50;
const REQUESTS_AT_ONCE = 10;
/** Lists cost Temporal more; a namespace has ten a second by default. */
const LISTS_PER_SECOND = 2;
/** How often all executions are walked for those whose row is settled. */
const LEFTOVERS_INTERVAL_MS = 60_000;
/** What looked doubtful and was in order is looked at less and less often, up to this. */
const LOOK_INTERVAL_MAX_MS = 15_000;
/** What has to be repaired again and again, less often still. */
const REPAIR_INTERVAL_MAX_MS = 5 * 60_000;
/** Temporal's lists lag behind. */
const LIST_LAG_MS = 10_000;

export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #intervalMs: number;
  readonly #requests = new Pace(REQUESTS_PER_SECOND);
  readonly #lists = new Pace(LISTS_PER_SECOND);
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #pages: AsyncGenerator<RunRef[]> | null = null;
  #pagesNotBefore = 0;
  #endedSince = new Date(Date.now() - LIST_LAG_MS);
  #walkBeginsAnew = true;
  /** Jobs that were looked at one by one, and when they may be again. */
  readonly #seen = new Map<string, { notBefore: number; waitMs: number }>();

  constructor(parts: ReconcilerParts, intervalMs: number) {
    this.#parts = parts;
    this.#intervalMs = intervalMs;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { rows, log } = this.#parts;
    let isFailing = false;
    while (!this.#stop.signal.aborted) {
      let goOn = false;
      try {
        await rows.asLeader(async () => void (goOn = await this.#pass()));
        isFailing = false;
      } catch (error) {
        // Once per outage, not once per pass. An unreachable Temporal is the relay's to report.
        if (!isFailing && !isAsyncJobError(error, 'temporal.unavailable'))
          log.warn({ err: error }, 'open jobs could not be compared with Temporal; it is repeated');
        isFailing = true;
      }
      await pause(goOn ? 0 : this.#intervalMs * (0.75 + Math.random() / 2), this.#stop.signal);
    }
  }

  /** A look at a portion of everything; returns whether the next one shall follow at once. */
  async #pass(): Promise<boolean> {
    const { rows } = this.#parts;
    const doubtful = await rows.doubtful(ROWS_AT_ONCE);
    const portion = await rows.next(ROWS_AT_ONCE);
    const isAll = this.#walkBeginsAnew && portion.isLast;
    this.#walkBeginsAnew = portion.isLast;
    const suspects = [...doubtful, ...(await this.notExecuting(portion.rows))];
    if (!isAll) {
      // Too many rows to see them all in every pass: those whose execution has ended meanwhile are asked for.
      suspects.push(...(await rows.ofJobs(await this.#endedMeanwhile())).values());
    }
    const repaired = await this.#examineAll(suspects);
    await this.#sweepLeftovers();
    this.#forgetOld();
    // Where something was wrong more is likely, and the pace of the requests is limit enough.
    return repaired > 0 && !isAll;
  }

  /** Those that Temporal's lists do not show as executing; all of them when there are no lists. */
  async notExecuting(rows: RunFacts[]): Promise<RunFacts[]> {
    if (rows.length === 0) return [];
    const open = await this.#listed((executions) => executions.openAmong(rows));
    return open === null ? rows : rows.filter((row) => !open.has(runKey(row)));
  }

  async #endedMeanwhile(): Promise<RunRef[]> {
    const now = Date.now();
    const ended = await this.#listed((executions) => executions.endedSince(this.#endedSince));
    if (ended === null) return [];
    this.#endedSince = new Date(now - LIST_LAG_MS);
    return ended;
  }

  /** Temporal's lists are a hint: without them it goes on. */
  async #listed<T>(list: (executions: ExecutionListing) => Promise<T>): Promise<T | null> {
    await this.#lists.turn(this.#stop.signal);
    try {
      return await list(this.#parts.executions);
    } catch (error) {
      this.#parts.log.debug({ err: error }, 'Temporal does not list executions now');
      return null;
    }
  }

  async #examineAll(suspects: readonly RunFacts[]): Promise<number> {
    const due = new Map(suspects.filter((row) => this.#isDue(row)).map((row) => [jobKey(row), row]));
    const queue = due.values();
    let repaired = 0;
    const failures: unknown[] = [];
    const next = async () => {
      for (const row of queue) {
        if (this.#stop.signal.aborted || failures.length > 0) return;
        const difference = await this.examine(row, { repair: true });
        this.#saw(row, difference !== null);
        if (difference?.repaired) repaired++;
      }
    };
    await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, () => next().catch((error: unknown) => failures.push(error))));
    if (failures.length > 0) throw failures[0];
    return repaired;
  }

  /** Compares one row with its execution, and repairs the difference when that is asked for. */
  async examine(row: RunFacts, { repair }: { repair: boolean }): Promise<Difference | null> {
    await this.#requests.turn(this.#stop.signal);
    const execution = await this.#parts.engine.describe(row);
    const planned = planRepair(row, execution, this.#parts.whenLostOf(row.jobType));
    if (planned === null) return null;
    const run = { jobType: row.jobType, id: row.id, run: row.run };
    if (!repair) return { ...planned, run, repaired: false };
    return this.#told({ ...planned, run, repaired: await this.#carryOut(planned, row, execution) });
  }

  async #carryOut({ kind, why }: Repair, row: RunFacts, { end }: Execution): Promise<boolean> {
    const { engine, mirror, worker } = this.#parts;
    switch (kind) {
      case 'revoke':
        return (await mirror.ended(row, row.runId, { by: end?.by || 'temporal', reason: end?.reason || why })) === 'applied';
      case 'fail':
        return (
          (await mirror.finalized({ ...row, runId: row.runId ?? '' }, { status: 'FAILURE', error: timeLimitError(why) })).result ===
          'applied'
        );
      case 'next_run':
        return (await mirror.nextRun(row, row.runId, { why, worker })) !== null;
      case 'cancel':
        await engine.cancel(row, 'revoked');
        return true;
      case 'terminate':
        await engine.terminate(row, why);
        return true;
      case 'report':
      case 'dispatch': // the relay's
        return false;
    }
  }

  #told(difference: Difference): Difference {
    const { kind, why, run, repaired } = difference;
    const { log, onRepair } = this.#parts;
    const fields = { jobType: run.jobType, jobId: run.id, run: run.run, repair: kind };
    if (repaired) {
      onRepair?.(kind);
      log.warn(fields, `${REPAIRED[kind]}: ${why}`);
    } else if (kind === 'report') {
      log.error(fields, `not run again, as whenLost says: ${why}. Decide: job.revoke({ terminate: true }), then job.retry()`);
    }
    return difference;
  }

  /** A page of the executions that go on, now and then. */
  async #sweepLeftovers(): Promise<void> {
    if (this.#pages === null && Date.now() < this.#pagesNotBefore) return;
    const pages = (this.#pages ??= this.#parts.executions.openRuns());
    const page = await this.#listed(() => pages.next());
    if (page?.done !== false) {
      this.#pages = null;
      this.#pagesNotBefore = Date.now() + LEFTOVERS_INTERVAL_MS;
      return;
    }
    await this.examineLeftovers(page.value, { repair: true });
  }

  /** Finds those of these executions whose job is settled or in a newer run; ends them when that is asked for. */
  async examineLeftovers(runs: readonly RunRef[], { repair }: { repair: boolean }): Promise<Difference[]> {
    const jobs = await this.#parts.rows.ofJobs(runs);
    const differences: Difference[] = [];
    for (const run of runs) {
      const planned = planLeftover(run, jobs.get(jobKey(run)));
      if (planned === null) continue;
      if (repair) {
        await this.#requests.turn(this.#stop.signal);
        await this.#parts.engine.terminate(run, planned.why);
      }
      const difference = { ...planned, run, repaired: repair };
      differences.push(repair ? this.#told(difference) : difference);
    }
    return differences;
  }

  #isDue(row: RunFacts): boolean {
    return (this.#seen.get(jobKey(row))?.notBefore ?? 0) <= Date.now();
  }

  #saw(row: RunFacts, differed: boolean): void {
    const waitedMs = this.#seen.get(jobKey(row))?.waitMs ?? this.#intervalMs / 2;
    const waitMs = Math.min(waitedMs * 2, differed ? REPAIR_INTERVAL_MAX_MS : LOOK_INTERVAL_MAX_MS);
    this.#seen.set(jobKey(row), { notBefore: Date.now() + waitMs, waitMs });
  }

  #forgetOld(): void {
    const longAgo = Date.now() - 2 * REPAIR_INTERVAL_MAX_MS;
    for (const [key, { notBefore }] of this.#seen) if (notBefore < longAgo) this.#seen.delete(key);
  }
}

function timeLimitError(message: string): ErrorRecord {
  return { type: 'TimeoutError', message, code: 'job.time_limit', retryable: false };
}

const REPAIRED: Record<RepairKind, string> = {
  dispatch: 'dispatched',
  revoke: 'REVOKED',
  fail: 'FAILURE',
  next_run: 'PENDING in its next run',
  report: 'reported',
  cancel: 'asked its execution once more to stop',
  terminate: 'ended an execution that nobody needs any more',
};
