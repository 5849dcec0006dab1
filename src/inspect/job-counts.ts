// How many jobs there are: per type, queue and status.
import { STATUSES, type Status } from '../domain/lifecycle.ts';
import type { JobTable } from '../mirror/job-table.ts';
import { numberOrNull, type InspectionDatabase } from './database.ts';
import { countsQuery } from './queries.ts';

export interface JobCounts {
  jobType: string;
  queue: string;
  counts: Record<Status, number>;
  /** PENDING, and only a worker is missing. */
  due: number;
  oldestDueMs: number | null;
  /** Committed, but unknown to Temporal. */
  undispatched: number;
  oldestUndispatchedMs: number | null;
}

/** In the order of types and queues; a type without a job is not among them. */
export async function countJobs(database: InspectionDatabase, tables: readonly JobTable[]): Promise<JobCounts[]> {
  const rows = await database.query(countsQuery(tables));
  return rows
    .map((row) => ({
      jobType: String(row['job_type']),
      queue: String(row['queue']),
      counts: Object.fromEntries(STATUSES.map((status) => [status, Number(row[status])])) as Record<Status, number>,
      due: Number(row['due']),
      oldestDueMs: numberOrNull(row['oldest_due_ms']),
      undispatched: Number(row['undispatched']),
      oldestUndispatchedMs: numberOrNull(row['oldest_undispatched_ms']),
    }))
    .sort((a, b) => (a.jobType === b.jobType ? compare(a.queue, b.queue) : compare(a.jobType, b.jobType)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
