// A worker that starts before its database waits for it, and says so.
import { setTimeout as pause } from 'node:timers/promises';
import { Client, type ClientConfig, type Pool } from 'pg';
import { AsyncJobError } from '../domain/errors.ts';
import type { Log } from '../domain/ports.ts';
import { isTransientDatabaseError } from '../mirror/transient.ts';

const PAUSE_MAX_MS = 10_000;

export interface WaitingOptions {
  /** `false`: fail at once when it is away. */
  wait: boolean;
  log: Log;
  /** Ends the waiting; its reason is thrown. */
  signal: AbortSignal;
}

/** @throws AsyncJobError `database.unavailable` when it is away and `wait` is false, or when waiting is no use */
export async function untilDatabaseAnswers(pool: Pool, { wait, log, signal }: WaitingOptions): Promise<void> {
  const where = whereIs(pool);
  for (let pauseMs = 500; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    try {
      await ask(pool.options, signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      const why = (error as { message?: string }).message || (error as { code?: string }).code || String(error);
      if (!wait || !isTransientDatabaseError(error)) {
        throw new AsyncJobError(
          'database.unavailable',
          `PostgreSQL at ${where} cannot be used (${why}). Check that it runs and that DATABASE_URL or the MikroORM options name it.`,
          { cause: error },
        );
      }
      log.warn({ database: where, why, againInMs: pauseMs }, `waiting for PostgreSQL at ${where}`);
      await pause(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** With a client of its own: one of a pool cannot be broken off while it connects. */
async function ask(options: ClientConfig, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const client = new Client(options);
  client.on('error', () => {}); // of a connection that breaks; who waits for it hears it, too
  const breakOff = () => void client.connection.stream.destroy();
  signal.addEventListener('abort', breakOff, { once: true });
  try {
    await client.connect();
    await client.query('select 1');
  } finally {
    signal.removeEventListener('abort', breakOff);
    void client.end().catch(() => undefined);
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
