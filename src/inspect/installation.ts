// An application opened for inspection: configuration and metadata, its database and its Temporal. Nothing is connected
// by opening it, nothing is written, and no handler is loaded unless that is asked for.
import type { MikroORM } from '@mikro-orm/postgresql';
import { AsyncJobs } from '../app/async-jobs.ts';
import type { AnyOrm, Config, OrmOptions } from '../app/config.ts';
import type { LoadedConfig } from '../app/load-config.ts';
import { jobDefaults } from '../app/job-defaults.ts';
import { createLog } from '../app/log.ts';
import type { Settings } from '../app/settings.ts';
import { AsyncJobAttempt } from '../entity/async-job-attempt.ts';
import { AsyncJobWorker } from '../entity/async-job-worker.ts';
import { HandlerTable, type JobType } from '../handlers/handler-table.ts';
import { jobTableOf, libraryTables, type JobTable, type LibraryTables } from '../mirror/job-table.ts';
import { InspectionDatabase } from './database.ts';

export interface Installation extends AsyncDisposable {
  app: AsyncJobs;
  orm: MikroORM;
  jobTypes: JobType[];
  tables: JobTable[];
  library: LibraryTables;
  database: InspectionDatabase;
  /** How the configuration gives MikroORM. */
  given: OrmOptions | AnyOrm;
}

const CLOSE_DEADLINE_MS = 1_000;

/**
 * @param timeoutMs how long the database may take for a connection, and for each statement
 * @throws AsyncJobError as `AsyncJobs.connect()`
 */
export async function openInstallation(
  { config, folder, extension }: LoadedConfig,
  settings: Settings,
  timeoutMs: number,
): Promise<Installation> {
  let given: OrmOptions | AnyOrm | undefined;
  const source = config.orm;
  const noted: Config = {
    ...config,
    // Whichever is configured: the inline engine would load handlers at once.
    engine: settings.engine === 'inline' ? 'workflow' : settings.engine,
    orm: async () => (given = typeof source === 'function' ? await source() : source),
  };
  const app = await AsyncJobs.connect(noted, {
    settings: { ...settings, engine: noted.engine! },
    log: createLog('silent'),
    handlersFolder: { folder, extension },
  });
  const { orm } = app;
  const metadata = orm.getMetadata();
  const defaultSchema = orm.config.get('schema');
  const jobTypes = [...new HandlerTable(orm, jobDefaults(config, noted.engine!)).types.values()];
  const database = await InspectionDatabase.open(orm, timeoutMs);
  return {
    app,
    orm,
    jobTypes,
    tables: jobTypes.map(({ jobType, jobClass, policy }) =>
      jobTableOf(jobType, metadata.get(jobClass as never), { defaultSchema, policy }),
    ),
    library: libraryTables(metadata, { attempts: AsyncJobAttempt, workers: AsyncJobWorker }, defaultSchema),
    database,
    given: given!,
    async [Symbol.asyncDispose]() {
      await database.close();
      // A server that hangs must not hold us: the process ends anyway.
      const timer = new Promise((resolve) => setTimeout(resolve, CLOSE_DEADLINE_MS).unref());
      await Promise.race([app.close().catch(() => undefined), timer]);
    },
  };
}
