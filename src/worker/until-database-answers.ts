// A worker that starts before its database waits for it, and says so.
import { setTimeout as pause } from 'node:timers/promises';
import type { Pool } from 'pg';
import { AsyncJobError } from '../domain/errors.ts';
import type { Log } from '../domain/ports.ts';
import { isTransientDatabaseError } from '../mirror/transient.ts';

const PAUSE_MAX_MS = 10_000;

/** @throws AsyncJobError `database.unavailable` when it is away and `wait` is false, or when waiting is no use */
export async function untilDatabaseAnswers(pool: Pool, { wait, log }: { wait: boolean; log: Log }): Promise<void> {
  const where = whereIs(pool);
  for (let pauseMs = 500; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    try {
      await pool.query('select 1');
      return;
    } catch (error) {
      const why = (error as { message?: string }).message || (error as { code?: string }).code || String(error);
      if (!wait || !isTransientDatabaseError(error)) {
        throw new AsyncJobError(
          'database.unavailable',
          `PostgreSQL at ${where} cannot be used (${why}). Check that it runs and that DATABASE_URL or the MikroORM options name it.`,
          { cause: error },
        );
      }
      log.warn({ database: where, why, againInMs: pauseMs }, `waiting for PostgreSQL at ${where}`);
      await pause(pauseMs);
    }
  }
}

function whereIs(pool: Pool): string {
  const { host, port, database, connectionString } = pool.options as {
    host?: string;
    port?: number;
    database?: string;
    connectionString?: string;
  };
  if (connectionString) {
    const url = new URL(connectionString);
    return `${url.host}${url.pathname}`;
  }
  return `${host ?? 'localhost'}:${port ?? 5432}/${database ?? ''}`;
}
