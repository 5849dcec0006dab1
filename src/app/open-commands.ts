// What an application's jobs are enqueued, revoked, retried, saved and refreshed with, wired over its parts.
import { AsyncJobError } from '../domain/errors.ts';
import { AfterCommit } from '../enqueue/after-commit.ts';
import { EngineCalls } from '../enqueue/engine-calls.ts';
import { JobCommands } from '../enqueue/job-commands.ts';
import { JobInserts } from '../enqueue/job-inserts.ts';
import { LaneBell } from '../enqueue/lane-bell.ts';
import { ManyJobs } from '../enqueue/many-jobs.ts';
import { OwnColumns } from '../enqueue/own-columns.ts';
import type { JobClass } from '../entity/job-types.ts';
import { LifecycleGuard } from '../entity/lifecycle-guard.ts';
import { wakeLanesStatement } from '../mirror/statements.ts';
import type { ApplicationParts } from './application-parts.ts';
import { DATABASE_ERRORS } from './database-errors.ts';
import { subscribe } from './subscribe.ts';

export interface Commands {
  one: JobCommands;
  many: ManyJobs;
  ownColumns: OwnColumns;
  /** The ORM's events are heard no more. */
  unsubscribe(): void;
}

/** `refuseClosed` throws once the application is closed. */
export function openCommands(parts: ApplicationParts, refuseClosed: () => void): Commands {
  const { orm, tables, dispatcher, engine, mirror, handlers, pool, settings } = parts;
  const afterCommit = new AfterCommit((error) => dispatcher.report(error));
  const inline = settings.engine === 'inline';
  const common = {
    orm,
    tables,
    engineCalls: new EngineCalls({
      engine,
      dispatcher,
      afterCommit,
      laneBell: new LaneBell({ notify: (queue) => pool.query(wakeLanesStatement, [queue]), track: (work) => dispatcher.track(work) }),
      // The inline engine runs jobs where they are enqueued.
      inLanes: (jobType) => !inline && tables.get(jobType)?.lane !== null,
      inline,
    }),
    afterCommit,
    databaseErrors: DATABASE_ERRORS,
    check: (jobClass: JobClass, willRun: boolean) => {
      refuseClosed();
      const { jobType } = handlers.typeOf(jobClass);
      if (inline && willRun && !handlers.handlerOf(jobClass)) {
        throw new AsyncJobError(
          'handler.missing',
          `no handler for '${jobType}' in this process, and the inline engine runs jobs here. Import its handlers module, or call app.handle(${jobClass.name}, fn).`,
        );
      }
    },
  };
  const ownColumns = new OwnColumns({ orm, tables, mirror, afterCommit, databaseErrors: DATABASE_ERRORS });
  const guard = new LifecycleGuard((em, attempt, job, own) => ownColumns.saveFenced(em, attempt, job, own));
  return {
    one: new JobCommands({ ...common, inserts: new JobInserts(orm, DATABASE_ERRORS.isTransient) }),
    many: new ManyJobs(common),
    ownColumns,
    unsubscribe: subscribe(orm, { afterCommit, guard }),
  };
}
