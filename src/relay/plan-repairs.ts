// What to do about a row and its execution that do not agree: pure, so that every case can be read and tested at once.
// A repair is carried out only if the row still is in the run, and names the execution, that were looked at.
import type { WhenLost } from '../domain/job-policy.ts';
import { isSettled } from '../domain/lifecycle.ts';
import type { Execution, RunFacts, RunRef } from '../domain/ports.ts';

/**
 * `dispatch`: committed and never dispatched. `revoke`: REVOKED, since somebody ended the execution. `fail`: FAILURE at the
 * job's time limit. `next_run`: PENDING in the next run. `cancel`: ask the execution once
 * more to stop. `terminate`: end an execution whose job is settled or in a newer run. `report`: left to people.
 */
export type RepairKind = 'dispatch' | 'revoke' | 'fail' | 'next_run' | 'report' | 'cancel' | 'terminate';

export interface Repair {
  kind: RepairKind;
  /** For people. */
  why: string;
}

/** An open row with the execution that it names or named. `null`: nothing to do, or not yet. */
export function planRepair(row: RunFacts, execution: Execution, whenLost: WhenLost): Repair | null {
  if (isSettled(row.status) || row.status === 'NEW') return null;
  if (execution.timeLimitMs) return { kind: 'fail', why: `the job did not end within its totalTimeout of ${execution.timeLimitMs} ms` };
  switch (execution.status) {
    case 'running':
      // The request to cancel was lost, or its answer was: it is repeated until the attempt has stopped.
      return row.revokeRequested ? { kind: 'cancel', why: 'revocation was asked for, and its execution goes on' } : null;
    case 'cancelled':
      return { kind: 'revoke', why: 'its execution was cancelled in Temporal' };
    case 'terminated':
      if (execution.end?.byThisLibrary)
        return lost(row, execution, 'its execution was terminated when it was settled: the row is older', whenLost);
      return { kind: 'revoke', why: `its execution was terminated in Temporal${by(execution)}` };
    case 'not_found':
      return lost(row, execution, 'Temporal does not know its execution', whenLost);
    case 'timed_out':
      return lost(row, execution, 'its execution timed out, and the row does not know', whenLost);
    // Whoever closes a workflow has written the row before: the row is older than that (restored from a backup), so the end
    // of the execution is no outcome.
    case 'completed':
    case 'failed':
      return lost(row, execution, `its execution ${execution.status}, and the row does not know`, whenLost);
  }
}

function lost(row: RunFacts, execution: Execution, why: string, whenLost: WhenLost): Repair | null {
  if (row.isHeld) return null; // a living worker is at it: it writes the end itself
  if (row.revokeRequested) return { kind: 'next_run', why: `${why}; revocation was asked for` };
  // A PENDING row has not begun, or runs again by its policy.
  const mayHaveBegun = row.status === 'STARTED' || execution.status === 'completed';
  return mayHaveBegun && whenLost === 'report' ? { kind: 'report', why } : { kind: 'next_run', why };
}

/** How long what is settled may take to reach the execution by itself. */
const LEFTOVER_AFTER_MS = 60_000;

/** An execution that goes on, with the row of its job; a job without a row is found out by the attempt itself. */
export function planLeftover(run: RunRef, row: RunFacts | undefined): Repair | null {
  if (row === undefined || row.run < run.run) return null;
  if (row.run > run.run) return row.enqueuedForMs > LEFTOVER_AFTER_MS ? { kind: 'terminate', why: 'the job is in a newer run' } : null;
  return (row.settledForMs ?? 0) > LEFTOVER_AFTER_MS ? { kind: 'terminate', why: `the job is ${row.status}` } : null;
}

function by({ end }: Execution): string {
  if (!end) return '';
  return `${end.by === '' ? '' : ` by ${end.by}`}${end.reason === '' ? '' : ` (${end.reason})`}`;
}
