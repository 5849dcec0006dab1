// One look at everything, for a command or a script: what the workers' relay and reconciler would see and do.
import type { OpenRunSource, UndispatchedRun, UndispatchedRunSource } from '../domain/ports.ts';
import { Examiner, logDifference, type Difference, type ExaminerParts } from './examiner.ts';

export interface ReconcileOptions {
  /** Repair what differs, as a worker does. @default false: tell only */
  repair?: boolean;
  /** At most so many open rows, and executions, are looked at. @default 100_000 */
  rowsMax?: number;
  /** It ends after so many differences. @default Infinity */
  differencesMax?: number;
  /** Ends the look; what was found until then is returned. */
  signal?: AbortSignal;
}

/** What a look at everything found. */
export interface Reconciliation {
  differences: Difference[];
  /** How many open rows were compared. */
  looked: number;
  /** False when one of the limits ended it. */
  isComplete: boolean;
}

export interface ReconcileOnceParts extends ExaminerParts {
  rows: OpenRunSource;
  undispatched: UndispatchedRunSource;
  /** Resolves when the rows say what was dispatched. */
  noted(): Promise<void>;
}

const ROWS_AT_ONCE = 500;
const GRACE_MS = 6_000;

export async function reconcileOnce(parts: ReconcileOnceParts, options: ReconcileOptions): Promise<Reconciliation> {
  const { repair = false, rowsMax = 100_000, differencesMax = Infinity, signal = new AbortController().signal } = options;
  const examiner = new Examiner(parts, signal);
  const result: Reconciliation = { differences: [], looked: 0, isComplete: true };
  const isFull = () => signal.aborted || result.differences.length >= differencesMax;
  const found = (difference: Difference) => {
    if (repair) logDifference(parts.log, difference);
    result.differences.push(difference);
  };

  await lookAtUndispatched(parts, { repair, isFull, found, limit: Math.min(ROWS_AT_ONCE, differencesMax) });
  for (let isLast = false; !isLast && !isFull() && result.looked < rowsMax;) {
    const portion = await parts.rows.next(Math.min(ROWS_AT_ONCE, rowsMax - result.looked));
    result.looked += portion.rows.length;
    isLast = portion.isLast;
    result.isComplete = isLast;
    for (const row of await examiner.notExecuting(portion.rows)) {
      if (isFull()) break;
      const difference = await examiner.examine(row, { repair });
      if (difference) found(difference);
    }
  }
  let executions = 0;
  for await (const runs of parts.executions.openRuns()) {
    if (isFull()) break;
    for await (const difference of examiner.examineLeftovers(runs, { repair })) {
      found(difference);
      if (isFull()) break;
    }
    executions += runs.length;
    if (executions >= rowsMax) break;
  }
  return { ...result, isComplete: result.isComplete && !isFull() && executions < rowsMax };
}

interface UndispatchedLook {
  repair: boolean;
  limit: number;
  isFull(): boolean;
  found(difference: Difference): void;
}

/** With `repair` until there are none; otherwise the oldest ones. */
async function lookAtUndispatched(
  { undispatched, dispatch, noted }: ReconcileOnceParts,
  { repair, limit, isFull, found }: UndispatchedLook,
): Promise<void> {
  // A row that somebody keeps locked cannot say that it was dispatched: it is found again.
  const seen = new Set<string>();
  for (let goOn = true; goOn && !isFull();) {
    goOn = false;
    await undispatched.sweep({ graceMs: GRACE_MS, limit }, async (runs) => {
      for (const run of runs) {
        if (isFull()) break;
        const key = `${run.jobType} ${run.id} ${run.run}`;
        if (seen.has(key)) continue;
        seen.add(key);
        const result = repair ? await dispatch(run) : null;
        found(toDifference(run, result === 'dispatched'));
        if (result === 'away') break;
        goOn ||= result === 'dispatched';
      }
      await noted();
    });
  }
}

function toDifference({ jobType, id, run, ageMs }: UndispatchedRun, repaired: boolean): Difference {
  const why = `committed ${Math.round(ageMs / 1000)} s ago, and never dispatched`;
  return { kind: 'dispatch', why, run: { jobType, id, run }, repaired };
}
