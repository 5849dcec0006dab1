// What an application is made of, for those who run its jobs: the worker.
import type { MikroORM } from '@mikro-orm/postgresql';
import type { Pool } from 'pg';
import type { RunAttempt } from '../domain/attempt.ts';
import type { ExecutionListing, JobEngine, Log } from '../domain/ports.ts';
import type { Dispatcher } from '../enqueue/dispatcher.ts';
import type { AttemptDependencies, AttemptRegistry } from '../handlers/run-attempt.ts';
import type { HandlerTable } from '../handlers/handler-table.ts';
import type { JobTable, LibraryTables } from '../mirror/job-table.ts';
import type { PostgresJobMirror } from '../mirror/postgres-job-mirror.ts';
import type { TemporalConnection } from '../temporal/connection.ts';
import type { Settings } from './settings.ts';

export interface ApplicationParts {
  name: string;
  settings: Settings;
  log: Log;
  orm: MikroORM;
  handlers: HandlerTable;
  /** Connections of the mirror, registry and relay: apart from the application's pool. */
  pool: Pool;
  tables: ReadonlyMap<string, JobTable>;
  library: LibraryTables;
  mirror: PostgresJobMirror;
  dispatcher: Dispatcher;
  engine: JobEngine;
  /** `null` with the inline engine, as is `temporal`. */
  executions: ExecutionListing | null;
  temporal: TemporalConnection | null;
  runAttemptWith(registry: AttemptRegistry | null): RunAttempt;
  /** What an attempt needs, for who runs one that has started already. */
  attemptDependencies(registry: AttemptRegistry | null): AttemptDependencies;
}
