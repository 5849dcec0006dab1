// A run that was written as PENDING, as the engine is told of it: from the entity, or from what a statement returned.
import type { CommittedRun, Row } from '../domain/ports.ts';
import type { AsyncJob } from '../entity/async-job.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import type { JobClass } from '../entity/job-types.ts';

export function committedRunOf(job: AsyncJob): CommittedRun {
  return {
    jobType: jobTypeOf(job.constructor as unknown as JobClass),
    id: job.id,
    run: job.run,
    queue: job.queue,
    runAt: job.runAt ?? null,
    priority: job.priority ?? null,
  };
}

/** A row of `movedRuns`. `isDispatched`: an execution of it may exist. */
export interface MovedRun extends CommittedRun {
  isDispatched: boolean;
}

export function movedRunOf(jobType: string, row: Row): MovedRun {
  const runAt = row['run_at'] as Date | string | null;
  const run = row['run'] as number;
  return {
    jobType,
    id: row['id'] as string,
    run,
    queue: row['queue'] as string,
    runAt: runAt === null ? null : new Date(runAt),
    priority: row['priority'] as number | null,
    isDispatched: mayHaveExecution({ run, runId: row['run_id'] as string | null }),
  };
}

/** A row that SQL inserted as PENDING has run 0 until it is dispatched. One with a run may be on its way just now. */
export function mayHaveExecution({ run, runId }: { run: number; runId?: string | null }): boolean {
  return run > 0 || Boolean(runId);
}
