// What a test file takes of the shared servers: a database of its own, and queue names nobody else uses.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

export interface FreshDatabase extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
  /** Removes it, connections included. */
  drop(): Promise<void>;
}

/** An empty database for one test file; drop it in `afterAll`, or hold it with `await using`. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const name = `t_${randomBytes(6).toString('hex')}`;
  await administer(`create database ${name}`);
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${name}`;
  const drop = () => administer(`drop database if exists ${name} with (force)`);
  return { url: url.href, name, drop, [Symbol.asyncDispose]: drop };
}

/** `host:port` of the shared Temporal server; its namespace is `default`. */
export function temporalAddress(): string {
  return inject('temporalAddress');
}

/** Path of the Temporal CLI, for `startTemporal({ cli: temporalCli() })` and for acting as an operator. */
export function temporalCli(): string {
  return inject('temporalCli');
}

/** A queue name that no other test uses. */
export function uniqueQueue(name = 'q'): string {
  return `${name}-${randomBytes(4).toString('hex')}`;
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresUrl') });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
