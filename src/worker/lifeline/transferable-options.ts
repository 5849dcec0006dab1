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

/** `options` null: they cannot be given to another thread, for the reason that `obstacle` says. */
export type TransferableOptions = { options: object; obstacle: null } | { options: null; obstacle: string };

/** Functions, as for a password that changes, cannot be copied. */
export function transferableOptions({ options }: Pool & { options: PoolConfig }): TransferableOptions {
  // The password is not enumerable.
  const given: Readonly<Record<string, unknown>> = { ...options, password: options.password };
  const copied: Record<string, unknown> = {};
  for (const name of CONNECTION.filter((each) => given[each] !== undefined)) {
    try {
      copied[name] = structuredClone(given[name]);
    } catch {
      const path = pathOfFunction(given[name], name);
      return { options: null, obstacle: path === null ? `'${name}' cannot be copied` : `'${path}' is a function` };
    }
  }
  return { options: copied, obstacle: null };
}

function pathOfFunction(value: unknown, path: string): string | null {
  if (typeof value === 'function') return path;
  const [inner] = Object.entries(value ?? {}).find(([, each]) => typeof each === 'function') ?? [];
  return inner === undefined ? null : `${path}.${inner}`;
}
