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

/** Activity type of the last word. */
export const FINALIZE_ACTIVITY = 'asyncjob.finalize';
