// Wires what an application is made of: tables, mirror, engine and dispatcher. Neither PostgreSQL nor Temporal need to be there.
import type { MikroORM } from '@mikro-orm/postgresql';
import type { RunAttempt } from '../domain/attempt.ts';
import { FactCounts } from '../domain/fact-counts.ts';
import type { Log } from '../domain/ports.ts';
import { toCallerError } from '../enqueue/database-errors.ts';
import { Dispatcher } from '../enqueue/dispatcher.ts';
import type { Application } from '../entity/application.ts';
import { makeColumnsPlain } from '../entity/plain-columns.ts';
import { HandlerTable } from '../handlers/handler-table.ts';
import { runAttempt, type AttemptDependencies, type AttemptRegistry } from '../handlers/run-attempt.ts';
import { PostgresJobMirror } from '../mirror/postgres-job-mirror.ts';
import { ProgressWriter } from '../mirror/progress-writer.ts';
import type { ApplicationParts } from './application-parts.ts';
import type { Config } from './config.ts';
import { DATABASE_ERRORS } from './database-errors.ts';
import { describeTables } from './describe-tables.ts';
import { jobDefaults } from './job-defaults.ts';
import { openEngine } from './open-engine.ts';
import { openPool } from './open-pool.ts';
import type { Settings } from './settings.ts';

export interface PartsOptions {
  settings: Settings;
  log: Log;
  orm: MikroORM;
  /** The application object; asked for when a job runs. */
  application(): Application;
}

/** @throws AsyncJobError `settings.invalid`, `job.not_an_entity`, `job.duplicate_type` */
export async function openParts(config: Config, { settings, log, orm, application }: PartsOptions): Promise<ApplicationParts> {
  const { name = '' } = config;
  const handlers = new HandlerTable(orm, jobDefaults(config, settings.engine));
  const { tables, library } = describeTables(orm, handlers);
  for (const { jobClass } of handlers.types.values()) makeColumnsPlain(orm.getMetadata().get(jobClass as never));
  const pool = await openPool(orm, { prepare: settings.listen, log });
  const facts = new FactCounts((fact, { jobType, id }) =>
    log.debug({ fact, jobType, jobId: id }, 'the row refused a fact: it has moved on'),
  );
  const mirror = new PostgresJobMirror({ pool, prepare: settings.listen, tables, library, applicationName: name, facts });
  const attemptDependencies = (registry: AttemptRegistry | null): AttemptDependencies => ({
    application: application(),
    orm,
    handlers,
    mirror,
    registry,
    openProgress: (ref, news) => new ProgressWriter(mirror, ref, news),
    isTransient: DATABASE_ERRORS.isTransient,
    toCallerError: (error, jobType) => toCallerError(error, jobType, DATABASE_ERRORS),
    times: facts.attempts,
    log,
  });
  const runAttemptWith =
    (registry: AttemptRegistry | null): RunAttempt =>
    (host, invoke) =>
      runAttempt(host, attemptDependencies(registry), invoke);
  const { engine, executions, temporal } = await openEngine(config, settings, handlers, runAttemptWith);
  const dispatcher = new Dispatcher(engine, mirror, (jobType) => handlers.policyOf(jobType), log);
  return {
    name,
    settings,
    log,
    orm,
    handlers,
    pool,
    tables,
    library,
    mirror,
    dispatcher,
    engine,
    executions,
    temporal,
    runAttemptWith,
    attemptDependencies,
  };
}
