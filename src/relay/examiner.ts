// Compares single rows with their executions, and repairs what differs. Lists of executions (visibility) only say where to
// look: what is done about a row is decided by asking for its own execution.
import type { ErrorRecord } from '../domain/errors.ts';
import { jobKey, runKey } from '../domain/identity.ts';
import type { WhenLost } from '../domain/job-policy.ts';
import type {
  CommittedRun,
  DispatchResult,
  Execution,
  ExecutionListing,
  JobEngine,
  JobMirror,
  Log,
  OpenRunSource,
  RunFacts,
  RunRef,
} from '../domain/ports.ts';
import { Pace } from './pace.ts';
import { planLeftover, planRepair, type Repair, type RepairKind } from './plan-repairs.ts';

export interface ExaminerParts {
  rows: Pick<OpenRunSource, 'ofJobs'>;
  engine: Pick<JobEngine, 'describe' | 'cancel' | 'terminate'>;
  executions: ExecutionListing;
  mirror: Pick<JobMirror, 'ended' | 'finalized' | 'nextRun'>;
  dispatch(run: CommittedRun): Promise<DispatchResult>;
  whenLostOf(jobType: string): WhenLost;
  /** The worker that decides; `null` for a command. */
  worker: string | null;
  log: Log;
}

/** A difference between a row and its execution, and whether it was repaired. */
export interface Difference extends Repair {
  run: RunRef;
  /** False when it was planned only, is a report, or the row had moved on by then. */
  repaired: boolean;
}

/** Requests for single executions, so that a hundred thousand open rows do not flood Temporal. */
const REQUESTS_PER_SECOND = 50;
/** Lists cost Temporal more; a namespace has ten a second by default. */
const LISTS_PER_SECOND = 2;
/** Runs that one list is asked for. */
const RUNS_PER_LIST = 100;

export class Examiner {
  readonly #parts: ExaminerParts;
  readonly #signal: AbortSignal;
  readonly #requests = new Pace(REQUESTS_PER_SECOND);
  readonly #lists = new Pace(LISTS_PER_SECOND);

  /** Does nothing any more once `signal` aborts. */
  constructor(parts: ExaminerParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  /** Those that Temporal's lists do not show as executing; all of them when there are no lists. */
  async notExecuting(rows: RunFacts[]): Promise<RunFacts[]> {
    const missing: RunFacts[] = [];
    for (let first = 0; first < rows.length; first += RUNS_PER_LIST) {
      const some = rows.slice(first, first + RUNS_PER_LIST);
      const open = await this.list((executions) => executions.openAmong(some));
      missing.push(...(open === null ? some : some.filter((row) => !open.has(runKey(row)))));
    }
    return missing;
  }

  /** What Temporal lists; `null` when it does not now. */
  async list<T>(ask: (executions: ExecutionListing) => Promise<T>): Promise<T | null> {
    await this.#lists.turn(this.#signal);
    if (this.#signal.aborted) return null;
    try {
      return await ask(this.#parts.executions);
    } catch (error) {
      this.#parts.log.debug({ err: error }, 'Temporal does not list executions now');
      return null;
    }
  }

  /** Compares one row with its execution, and repairs the difference when that is asked for. */
  async examine(row: RunFacts, { repair }: { repair: boolean }): Promise<Difference | null> {
    await this.#requests.turn(this.#signal);
    if (this.#signal.aborted) return null;
    const execution = await this.#parts.engine.describe(row);
    const planned = planRepair(row, execution, this.#parts.whenLostOf(row.jobType));
    if (planned === null) return null;
    const run = { jobType: row.jobType, id: row.id, run: row.run };
    return { ...planned, run, repaired: repair && (await this.#repair(planned, row, execution)) };
  }

  async #repair({ kind, why }: Repair, row: RunFacts, { end }: Execution): Promise<boolean> {
    const { engine, mirror } = this.#parts;
    switch (kind) {
      case 'revoke':
        return (await mirror.ended(row, row.runId, { by: end?.by || 'temporal', reason: end?.reason || why })) === 'applied';
      case 'fail': {
        const finalized = await mirror.finalized({ ...row, runId: row.runId ?? '' }, { status: 'FAILURE', error: timeLimitError(why) });
        return finalized.result === 'applied';
      }
      case 'next_run':
        return this.#nextRun(row, why);
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

  async #nextRun(row: RunFacts, why: string): Promise<boolean> {
    const { mirror, worker, dispatch } = this.#parts;
    const next = await mirror.nextRun(row, row.runId, { why, worker });
    if (next?.status === 'PENDING') await dispatch({ ...next, jobType: row.jobType, id: row.id });
    return next !== null;
  }

  /** Those of these executions whose job is settled or in a newer run; each is ended when that is asked for. */
  async *examineLeftovers(runs: readonly RunRef[], { repair }: { repair: boolean }): AsyncGenerator<Difference> {
    const jobs = await this.#parts.rows.ofJobs(runs);
    for (const run of runs) {
      const planned = planLeftover(run, jobs.get(jobKey(run)));
      if (planned === null) continue;
      if (repair) {
        await this.#requests.turn(this.#signal);
        if (this.#signal.aborted) return;
        await this.#parts.engine.terminate(run, planned.why);
      }
      yield { ...planned, run, repaired: repair };
    }
  }
}

function timeLimitError(message: string): ErrorRecord {
  return { type: 'TimeoutError', message, code: 'job.time_limit', retryable: false };
}

/** A difference in a line of the log. */
export function logDifference(log: Log, { kind, why, run, repaired }: Difference): void {
  const fields = { jobType: run.jobType, jobId: run.id, run: run.run, repair: kind satisfies RepairKind };
  if (kind === 'report') {
    log.error(fields, `not run again, as whenLost says: ${why}. Decide: job.revoke({ terminate: true }), then job.retry()`);
  } else if (repaired) {
    // A request to cancel that is repeated says nothing about what went wrong.
    log[kind === 'cancel' ? 'info' : 'warn'](fields, `${LOGGED[kind]}: ${why}`);
  }
}

const LOGGED: Record<Exclude<RepairKind, 'report'>, string> = {
  dispatch: 'dispatched',
  revoke: 'REVOKED',
  fail: 'FAILURE',
  next_run: 'PENDING in its next run',
  cancel: 'asked its execution once more to stop',
  terminate: 'ended an execution that nobody needs any more',
};
