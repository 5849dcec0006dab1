// What comparing an application's jobs with Temporal needs: for the reconciler in its workers, and for app.reconcile().
import { AsyncJobError } from '../domain/errors.ts';
import type { CommittedRun } from '../domain/ports.ts';
import { OpenRuns } from '../mirror/open-runs.ts';
import type { ExaminerParts } from '../relay/examiner.ts';
import type { ApplicationParts } from './application-parts.ts';

export interface ExaminerOptions {
  /** Who compares; `null` for a command. */
  worker: string | null;
  /** What began or was committed less than so long ago is left alone: Temporal's lists may not know it yet. */
  quietMs: number;
}

/** @throws AsyncJobError `settings.invalid` with the inline engine */
export function examinerPartsOf(parts: ApplicationParts, { worker, quietMs }: ExaminerOptions): ExaminerParts & { rows: OpenRuns } {
  const { name, pool, tables, library, engine, executions, mirror, handlers, dispatcher, log } = parts;
  if (!executions) throw new AsyncJobError('settings.invalid', 'the inline engine has no Temporal to compare jobs with.');
  return {
    rows: new OpenRuns(pool, tables, library, { applicationName: name, worker, quietMs }),
    engine,
    executions,
    mirror,
    dispatch: (run: CommittedRun) => dispatcher.dispatch(run),
    whenLostOf: (jobType) => handlers.policyOf(jobType).whenLost,
    worker,
    log,
  };
}
