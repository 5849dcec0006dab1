// The activity functions of a worker that runs jobs. The handler itself is begun by the mirror interceptor: a worker
// needs both. No activity is named after a job type: `default` serves them all.
import { ApplicationFailure, Context } from '@temporalio/activity';
import { FINALIZE_ACTIVITY } from '../src/domain/workflow-input.ts';
import type { FinalizeInput } from '../src/domain/workflow-input.ts';
import { takeBegunAttempt } from './begun-attempts.ts';

export interface JobActivitiesDeps {
  /** Writes the workflow's last word to the row. Rejects when that was not possible: Temporal repeats it. */
  finalize(input: FinalizeInput): Promise<void>;
}

/** A type alias, not an interface: it is assignable to `WorkerOptions.activities`. */
export type JobActivities = {
  default(...args: unknown[]): Promise<unknown>;
  [FINALIZE_ACTIVITY](input: FinalizeInput): Promise<void>;
};

/** To be merged into `Worker.create({ activities })`, beside `mirrorInterceptor()`. */
export function createJobActivities(deps: JobActivitiesDeps): JobActivities {
  return {
    async default() {
      const context = Context.current();
      const runHandler = takeBegunAttempt(context);
      if (runHandler === undefined) throw notRegistered(context.info.activityType);
      return runHandler();
    },
    async [FINALIZE_ACTIVITY](input) {
      await deps.finalize(input);
    },
  };
}

/** As Temporal itself answers for an unknown activity: retryable, since another worker may know it. */
function notRegistered(activityType: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'NotFoundError',
    message: `no activity '${activityType}' is registered, and it is no job. For jobs, add asyncjob's mirrorInterceptor() to the worker's interceptors.activity`,
  });
}
