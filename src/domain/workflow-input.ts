// What crosses Temporal for one run of a job: ids and options, never the job's data. Versioned, because workflows
// outlive deployments.
import type { ErrorRecord } from './errors.ts';

/** The only argument of the generic workflow and of its activity. */
export interface WorkflowInput {
  v: 1;
  id: string;
  run: number;
  /** The name of the queue without the application's name. */
  queue: string;
  heartbeatTimeoutMs: number;
  totalTimeoutMs: number | null;
}

/** What the activity returns to the workflow: a receipt, since the outcome is on the row. */
export interface ActivityReceipt {
  /** `refused`: the row belonged to somebody else, nothing was run. */
  verdict: 'succeeded' | 'refused';
  why?: string;
}

/** The workflow's last word about a run that did not simply succeed, for the `asyncjob.finalize` activity. */
export interface FinalizeInput {
  jobType: string;
  id: string;
  run: number;
  runId: string;
  status: 'FAILURE' | 'REVOKED';
  error: ErrorRecord | null;
}

/** Practically unlimited: the worker enforces the time limit of an attempt itself, and heartbeats find dead workers. */
export const ATTEMPT_TIME_MAX = '3650 days';

/**
 * The server only repeats, without a limit: lost workers, an unreachable PostgreSQL, deploys and pauses use up nothing. An
 * attempt that wants another delay, or no successor, says so in its failure.
 */
export const ATTEMPT_RETRY = { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '10 seconds' } as const;

/** Activity type of the last word. */
export const FINALIZE_ACTIVITY = 'asyncjob.finalize';
