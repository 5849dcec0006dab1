// A database with very many settled rows, made once per run of the bench and copied for each contestant.
import pg from 'pg';
import { TABLE } from '../contestants/contestant.ts';
import type { Servers } from '../servers.ts';
import { Stage } from '../stage.ts';

const made = new Map<number, Promise<string>>();

/** The name of the database. */
export function settledRows(servers: Servers, count: number): Promise<string> {
  if (!made.has(count)) made.set(count, make(servers, count));
  return made.get(count)!;
}

async function make(servers: Servers, count: number): Promise<string> {
  const database = `settled_${count}`;
  await servers.createDatabase(database);
  // A producer makes the tables.
  await (await Stage.open(servers, { contestant: 'asyncjob/lane', workers: 0, database }))[Symbol.asyncDispose]();
  const client = new pg.Client({ connectionString: servers.urlOf(database, 'superuser') });
  await client.connect();
  try {
    await fill(client, count);
  } finally {
    await client.end(); // a template has no connections
  }
  return database;
}

async function fill(client: pg.Client, count: number): Promise<void> {
  const { rows: indexes } = await client.query<{ name: string; definition: string }>(
    `select i.indexname as name, i.indexdef as definition from pg_indexes i
      where i.tablename = $1 and i.indexname not in (select conname from pg_constraint where contype = 'p')`,
    [TABLE],
  );
  for (const { name } of indexes) await client.query(`drop index "${name}"`);
  // A second between two jobs; numbers below zero, which no job of the bench has.
  await client.query(
    `insert into ${TABLE} (id, seq, note, status, run, attempt, workflow_id, run_id, worker_id, progress,
                           created_at, updated_at, enqueued_at, started_at, ended_at)
     select uuidv7(make_interval(secs => i - $1)), -i, 'one of many', 'SUCCESS', 1, 1, 'bench/BenchJob/' || i, gen_random_uuid()::text,
            'vm:1:abcdef01', 1, at, at, at, at, at
       from generate_series(1, $1::int) i, lateral (select now() + make_interval(secs => i - $1) as at) times`,
    [count],
  );
  for (const { definition } of indexes) await client.query(definition);
  await client.query('vacuum analyze');
  await client.query('checkpoint');
}
