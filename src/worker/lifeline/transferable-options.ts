// The part of node-postgres' options that makes a connection, as plain data for another thread.
import type { Pool, PoolConfig } from 'pg';

const CONNECTION = [
  'connectionString',
  'host',
  'port',
  'user',
  'password',
  'database',
  'ssl',
  'sslnegotiation',
  'enableChannelBinding',
  'options',
  'connectionTimeoutMillis',
  'statement_timeout',
  'client_encoding',
  // Functions, with which there is no copy:
  'stream',
  'Client',
];

/** `null` when they hold functions, as for a password that changes. */
export function transferableOptions({ options }: Pool & { options: PoolConfig }): object | null {
  // The password is not enumerable.
  const given: Readonly<Record<string, unknown>> = { ...options, password: options.password };
  const connection = Object.fromEntries(CONNECTION.filter((name) => given[name] !== undefined).map((name) => [name, given[name]]));
  try {
    return structuredClone(connection);
  } catch {
    return null;
  }
}
