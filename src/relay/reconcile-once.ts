// One look at everything, for a command or a script: what the workers' reconciler would see and do.
import type { ExecutionListing } from '../domain/ports.ts';
import { Reconciler, type Difference, type ReconcilerParts } from './reconciler.ts';

export interface ReconcileOptions {
  /** Repair what differs, as a worker does. @default false: tell only */
  repair?: boolean;
  /** How many open rows, and executions, are looked at, at most. @default 100_000 */
  limit?: number;
}

const ROWS_AT_ONCE = 500;

export async function reconcileOnce(parts: ReconcilerParts, { repair = false, limit = 100_000 }: ReconcileOptions): Promise<Difference[]> {
  const reconciler = new Reconciler(parts, 0);
  const differences: Difference[] = [];
  for (let looked = 0, isLast = false; !isLast && looked < limit;) {
    const portion = await parts.rows.next(Math.min(ROWS_AT_ONCE, limit - looked));
    looked += portion.rows.length;
    isLast = portion.isLast;
    for (const row of await reconciler.notExecuting(portion.rows)) {
      const difference = await reconciler.examine(row, { repair });
      if (difference) differences.push(difference);
    }
  }
  for await (const runs of openRuns(parts.executions, limit)) differences.push(...(await reconciler.examineLeftovers(runs, { repair })));
  return differences;
}

async function* openRuns(executions: ExecutionListing, limit: number) {
  let looked = 0;
  let from: Uint8Array | null = null;
  do {
    const { runs, next } = await executions.openPage(from);
    looked += runs.length;
    from = next;
    yield runs;
  } while (from !== null && looked < limit);
}
