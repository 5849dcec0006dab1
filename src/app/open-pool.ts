// Connections of our own to the application's database: handlers that use up the application's pool, or a flush that
// hangs, cannot keep the mirror from writing.
import { Pool, type PoolConfig } from 'pg';
import type { MikroORM } from '@mikro-orm/postgresql';
import type { Log } from '../domain/ports.ts';

const CONNECTIONS_MAX = 4;
const CONNECT_TIMEOUT_MS = 10_000;

interface MikroConnection {
  connect(options: { skipOnConnect: boolean }): Promise<void>;
  getNativeClient(): Promise<Pool & { options: PoolConfig }>;
}

/** Opens no connection yet. */
export async function openPool(orm: MikroORM, log: Log): Promise<Pool> {
  const connection = orm.em.getConnection() as unknown as MikroConnection;
  // Otherwise getNativeClient() asks the server whether the database exists, and the server may be away.
  await connection.connect({ skipOnConnect: true });
  const { options } = await connection.getNativeClient();
  const pool = new Pool({
    ...options,
    password: options.password!, // not enumerable, so that it is not printed
    max: CONNECTIONS_MAX,
    min: 0,
    connectionTimeoutMillis: options.connectionTimeoutMillis || CONNECT_TIMEOUT_MS,
    application_name: 'asyncjob',
    // A half-open connection is noticed instead of waited for.
    keepAlive: true,
  });
  // Without a listener a dropped idle connection would end the process; the query in flight rejects by itself.
  pool.on('error', (error) => log.debug({ err: error }, 'a connection of the mirror was dropped'));
  pool.on('connect', (client) => client.on('error', (error) => log.debug({ err: error }, 'a connection of the mirror broke')));
  return pool;
}
