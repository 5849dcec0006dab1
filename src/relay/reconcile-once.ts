// One look at everything, for a command or a script: what the workers' relay and reconciler would see and do.
import type { UndispatchedRun } from '../domain/ports.ts';
import { Reconciler, type Difference, type ReconcilerParts } from './reconciler.ts';
import type { RelayParts } from './relay.ts';

export interface ReconcileOptions {
  /** Repair what differs, as a worker does. @default false: tell only */
  repair?: boolean;
  /** At most so many open rows, and executions, are looked at. @default 100_000 */
  rows?: number;
  /** It ends after so many differences. @default Infinity */
  differences?: number;
}

export interface ReconcileOnceParts extends ReconcilerParts, Pick<RelayParts, 'source' | 'dispatch'> {}

const ROWS_AT_ONCE = 500;
const GRACE_MS = 6_000;

export async function reconcileOnce(parts: ReconcileOnceParts, options: ReconcileOptions): Promise<Difference[]> {
  const { repair = false, rows: rowsMax = 100_000, differences: differencesMax = Infinity } = options;
  const found: Difference[] = [];
  for await (const difference of look(parts, { repair, rowsMax })) {
    found.push(difference);
    if (found.length >= differencesMax) break;
  }
  return found;
}

async function* look(parts: ReconcileOnceParts, { repair, rowsMax }: { repair: boolean; rowsMax: number }): AsyncGenerator<Difference> {
  yield* lookAtUndispatched(parts, repair);
  const reconciler = new Reconciler(parts, 0);
  for (let looked = 0, isLast = false; !isLast && looked < rowsMax;) {
    const portion = await parts.rows.next(Math.min(ROWS_AT_ONCE, rowsMax - looked));
    looked += portion.rows.length;
    isLast = portion.isLast;
    for (const row of await reconciler.notExecuting(portion.rows)) {
      const difference = await reconciler.examine(row, { repair });
      if (difference) yield difference;
    }
  }
  let seen = 0;
  for await (const runs of parts.executions.openRuns()) {
    yield* await reconciler.examineLeftovers(runs, { repair });
    seen += runs.length;
    if (seen >= rowsMax) break;
  }
}

/** With `repair` until there are none; otherwise the oldest ones. */
async function* lookAtUndispatched({ source, dispatch }: ReconcileOnceParts, repair: boolean): AsyncGenerator<Difference> {
  for (let goOn = true; goOn;) {
    const found: Difference[] = [];
    goOn = false;
    await source.sweep({ graceMs: GRACE_MS, limit: ROWS_AT_ONCE }, async (runs) => {
      for (const run of runs) {
        const result = repair ? await dispatch(run) : null;
        found.push(toDifference(run, result === 'dispatched'));
        if (result === 'away') return;
        goOn ||= result === 'dispatched';
      }
    });
    yield* found;
  }
}

function toDifference({ jobType, id, run, ageMs }: UndispatchedRun, repaired: boolean): Difference {
  const why = `committed ${Math.round(ageMs / 1000)} s ago, and never dispatched`;
  return { kind: 'dispatch', why, run: { jobType, id, run }, repaired };
}
