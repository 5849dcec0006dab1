// Connections of our own to the application's database: handlers that use up the application's pool, or a flush that
// hangs, cannot keep the mirror from writing.
import { Pool, type ClientBase, type PoolConfig } from 'pg';
import type { MikroORM } from '@mikro-orm/postgresql';
import type { Log } from '../domain/ports.ts';

const CONNECTIONS_MAX = 8;
/** An application's transaction that keeps a job's row must not keep the mirror's connections: it tries again. */
const LOCK_TIMEOUT_MS = 5_000;
/** Plans that were made while a table was tiny would read all of it for long; what is prepared has an index for what it looks for. */
const NO_SEQ_SCANS = 'set enable_seqscan = off';
const CONNECT_TIMEOUT_MS = 10_000;
const QUERY_TIMEOUT_MS = 15_000;

interface MikroConnection {
  connect(options: { skipOnConnect: boolean }): Promise<void>;
  getNativeClient(): Promise<Pool & { options: PoolConfig }>;
}

export interface PoolOptions {
  max: number;
  /** Whether statements are prepared on its connections. @default false */
  prepare?: boolean;
  log: Pick<Log, 'debug'>;
}

/** Opens no connection yet. */
export async function openPool(orm: MikroORM, options: Omit<PoolOptions, 'max'>): Promise<Pool> {
  const connection = orm.em.getConnection() as unknown as MikroConnection;
  // Otherwise getNativeClient() asks the server whether the database exists, and the server may be away.
  await connection.connect({ skipOnConnect: true });
  return anotherPool(await connection.getNativeClient(), { ...options, max: CONNECTIONS_MAX });
}

/** A pool to the same database, so that what uses up one leaves the other alone. */
export function anotherPool({ options }: { options: PoolConfig }, { max, prepare = false, log }: PoolOptions): Pool {
  const onConnect = [`set lock_timeout = ${LOCK_TIMEOUT_MS}`, ...(prepare ? [NO_SEQ_SCANS] : [])].join('; ');
  const pool = new Pool({
    ...options,
    password: options.password!, // not enumerable, so that it is not printed
    max,
    min: 0,
    connectionTimeoutMillis: options.connectionTimeoutMillis || CONNECT_TIMEOUT_MS,
    application_name: 'asyncjob',
    // Before its first use. A start-up parameter would do as well, but poolers refuse it.
    // (The pool waits for the promise, although its type says void.)
    onConnect: (client: ClientBase) => client.query(onConnect) as unknown as void,
    // A connection that is silent for ever (half-open) is noticed instead of waited for. Whether the statement was applied is
    // then unknown: each of ours may be repeated.
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
  });
  // Without a listener a dropped idle connection would end the process; the query in flight rejects by itself.
  pool.on('error', (error) => log.debug({ err: error }, 'a connection of the mirror was dropped'));
  pool.on('connect', (client) => client.on('error', (error) => log.debug({ err: error }, 'a connection of the mirror broke')));
  return pool;
}
