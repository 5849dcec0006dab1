// How Temporal has a run of a job, whatever its engine: seen and acted upon as an operator does.
import type { AsyncJob, AsyncJobs, JobClass } from '../../src/index.ts';
import { workflowIdOf } from '../../src/domain/identity.ts';
import { jobTypeOf } from '../../src/entity/job-class.ts';

export type TestEngine = 'workflow' | 'activity';
export const TEST_ENGINES: readonly TestEngine[] = ['workflow', 'activity'];

/** `PENDING_ACTIVITY_STATE_CANCEL_REQUESTED` */
const CANCEL_REQUESTED = 3;

export interface TestExecution {
  readonly id: string;
  /** `RUNNING`, `COMPLETED`, `CANCELLED`, … in one spelling; `NOT_FOUND` when there is none. */
  status(): Promise<string>;
  /** How the attempt failed that is going to be repeated. */
  lastFailure(): Promise<string | undefined>;
  /** Whether its attempt is to stop: after a failure it is not repeated. */
  cancelRequested(): Promise<boolean>;
  cancel(): Promise<unknown>;
  terminate(reason?: string): Promise<unknown>;
  remove(): Promise<unknown>;
}

export function executionOf(
  { app, engine }: { app: AsyncJobs; engine: TestEngine },
  job: AsyncJob,
  run = Math.max(job.run, 1),
): TestExecution {
  const id = workflowIdOf(app.name, { jobType: jobTypeOf(job.constructor as unknown as JobClass), id: job.id, run });
  const { workflow, activity, workflowService } = app.temporal;
  const namespace = 'default';
  if (engine === 'activity') {
    const handle = activity.getHandle(id);
    return {
      id,
      status: () => handle.describe().then(({ status }) => (status === 'CANCELED' ? 'CANCELLED' : status), notFound),
      lastFailure: async () => (await (await handle.describe({ includeLastFailure: true })).getLastFailure())?.message,
      cancelRequested: async () => (await handle.describe()).runState === 'CANCEL_REQUESTED',
      cancel: () => handle.cancel('a test'),
      terminate: (reason = 'a test') => handle.terminate(reason),
      remove: () => workflowService.deleteActivityExecution({ namespace, activityId: id }),
    };
  }
  const handle = workflow.getHandle(id);
  return {
    id,
    status: () => handle.describe().then(({ status }) => status.name, notFound),
    lastFailure: async () => (await handle.describe()).raw.pendingActivities?.[0]?.lastFailure?.message ?? undefined,
    cancelRequested: async () => Number((await handle.describe()).raw.pendingActivities?.[0]?.state) === CANCEL_REQUESTED,
    cancel: () => handle.cancel(),
    terminate: (reason) => handle.terminate(reason),
    remove: () => workflowService.deleteWorkflowExecution({ namespace, workflowExecution: { workflowId: id } }),
  };
}

function notFound(error: unknown): string {
  if (error instanceof Error && /not ?found/i.test(`${error.name} ${error.message} ${String(error.cause)}`)) return 'NOT_FOUND';
  throw error;
}
