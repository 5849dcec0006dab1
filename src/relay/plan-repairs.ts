// What to do about a row and an execution that do not agree. Pure: rows and executions in, repairs out.
import { isSettled, type Status } from '../domain/lifecycle.ts';
import type { ExecutionStatus, RunRef } from '../domain/ports.ts';

/** A row as the reconciler read it. */
export interface ObservedRow extends RunRef {
  status: Status;
  /** The execution that the row names. */
  runId: string;
  revokeRequested: boolean;
}

export type Repair =
  /** Cancelled or terminated by somebody else: PENDING, STARTED → REVOKED. */
  | { kind: 'settle'; row: ObservedRow; because: ExecutionStatus }
  /** The execution is gone, or ended without the row knowing it: the next run. */
  | { kind: 'nextRun'; row: ObservedRow; because: ExecutionStatus }
  /** The row asks for a stop that Temporal has not heard of, or is settled already. */
  | { kind: 'cancel'; row: ObservedRow; because: 'revoke_requested' | 'settled' }
  /** Gone, and the application wants to decide itself. */
  | { kind: 'report'; row: ObservedRow; because: ExecutionStatus };

export interface RepairPolicy {
  /** What happens to a run whose execution is unknown to Temporal. */
  lost: 'rerun' | 'report';
}

/** The repair for one row; `null` when row and execution agree, or will by themselves. */
export function planRepair(row: ObservedRow, execution: ExecutionStatus, policy: RepairPolicy): Repair | null {
  if (isSettled(row.status)) return execution === 'running' ? { kind: 'cancel', row, because: 'settled' } : null;
  switch (execution) {
    case 'running':
      return row.revokeRequested ? { kind: 'cancel', row, because: 'revoke_requested' } : null;
    // The library settles a row before it ends its execution, so this was somebody else: Temporal's UI or CLI.
    case 'cancelled':
    case 'terminated':
      return { kind: 'settle', row, because: execution };
    case 'not_found':
      return { kind: policy.lost === 'rerun' ? 'nextRun' : 'report', row, because: execution };
    // A closed execution is no outcome: without the handler's own columns there is no SUCCESS, and without its error no
    // FAILURE. The row comes from a backup that is older than the end.
    case 'completed':
    case 'failed':
    case 'timed_out':
      return { kind: 'nextRun', row, because: execution };
  }
}
