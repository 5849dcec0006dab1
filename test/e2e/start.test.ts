// A worker that starts before its servers: it waits and says so, or fails with a code, and ends when it is told to.
import { mkdtemp, chmod, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, startTemporal } from '../../src/dev/index.ts';
import { lastingPort } from '../support/lasting-port.ts';
import { freshDatabase, temporalCli } from '../support/servers.ts';
import { Step } from './fixtures/app/jobs.ts';
import { openApplication, type TestApplication } from './support/application.ts';
import { fixture, runCli, startCli, type Child } from './support/cli.ts';
import { startSilentServer } from './support/silent-server.ts';

let shop: TestApplication;
let silent: Awaited<ReturnType<typeof startSilentServer>>;
/** Where nobody listens. */
const deadAddress = '127.0.0.1:1';
beforeAll(async () => {
  shop = await openApplication();
  silent = await startSilentServer();
});
afterAll(async () => {
  await silent?.[Symbol.asyncDispose]();
  await shop?.[Symbol.asyncDispose]();
});

/** The pauses that it announced, in milliseconds. */
const pausesOf = ({ lines }: Child, field: string) => lines.flatMap((line) => (field in line ? [line[field]] : []));

it('waits for PostgreSQL, says so ever more rarely, and works once it is there', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-test-'));
  await chmod(folder, 0o755); // root's PostgreSQL runs as another user
  const dataDir = path.join(folder, 'data');
  try {
    const before = await startPostgres({ dataDir, port: await lastingPort() });
    await using prepared = await openApplication({ databaseUrl: before.url });
    await before.stop();
    await using worker = prepared.startWorker();
    const { hostname, port } = new URL(before.url);
    const waiting = await worker.line(`waiting for PostgreSQL at ${hostname}:${port}/postgres`);
    expect(waiting).toMatchObject({ level: 40, why: expect.stringContaining('ECONNREFUSED') as string });
    await worker.lineWhere('a third try', ({ againInMs }) => againInMs === 2_000);
    expect(pausesOf(worker, 'againInMs').slice(0, 3)).toEqual([500, 1_000, 2_000]);

    const after = await startPostgres({ dataDir, port: before.port });

    try {
      await worker.line('ready');
      expect(await shop.settled(await Step.enqueue({ released: true }, { em: prepared.app.orm.em.fork() }))).toMatchObject({
        status: 'SUCCESS',
      });
    } finally {
      await after.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('waits for Temporal, says so ever more rarely, and works once it is there', async () => {
  const port = await lastingPort();
  const address = `127.0.0.1:${port}`;
  await using worker = shop.startWorker([], { TEMPORAL_ADDRESS: address });
  const waiting = await worker.line(`temporal.unavailable: no Temporal at ${address} (namespace 'default'): Connection refused`);
  expect(waiting).toMatchObject({ level: 40, address });
  await worker.lineWhere('a third try', ({ retryInMs }) => retryInMs === 2_000);
  expect(pausesOf(worker, 'retryInMs').slice(0, 3)).toEqual([500, 1_000, 2_000]);

  const temporal = await startTemporal({ cli: temporalCli(), ui: false, port });

  try {
    await worker.line('ready');
    const { rows } = await shop.db.query<{ id: string }>(`insert into step (status, released) values ('PENDING', true) returning id`);
    expect(await shop.settled((await Step.get(rows[0]!.id))!)).toMatchObject({ status: 'SUCCESS' });
  } finally {
    await temporal.stop();
  }
});

describe('with --no-wait', () => {
  it.each([
    ['PostgreSQL refuses', 'database.unavailable', () => ({ DATABASE_URL: `postgres://ada@${deadAddress}/shop` })],
    ['Temporal refuses', 'temporal.unavailable', () => ({ TEMPORAL_ADDRESS: deadAddress })],
    ['Temporal does not answer', 'temporal.unavailable', () => ({ TEMPORAL_ADDRESS: silent.address })],
  ])('fails when %s', async (_, code, away) => {
    const end = await runCli(['worker', '--no-wait'], { env: { ...shop.env, ...away() } });
    expect(end).toMatchObject({ code: 1, signal: null });
    expect(end.stderr).toMatch(new RegExp(`^error: ${code}: .*\\n$`));
  });
});

describe('SIGTERM ends a worker at once and in order while', () => {
  it.each([
    ['PostgreSQL refuses', 'waiting for PostgreSQL', () => ({ DATABASE_URL: `postgres://ada@${deadAddress}/shop` })],
    ['PostgreSQL does not answer', 'worker starts', () => ({ DATABASE_URL: `postgres://ada@${silent.address}/shop` })],
    ['Temporal refuses', 'temporal.unavailable', () => ({ TEMPORAL_ADDRESS: deadAddress })],
    ['Temporal does not answer', 'temporal.unavailable', () => ({ TEMPORAL_ADDRESS: silent.address })],
  ])('%s', async (_, said, away) => {
    const endsWithinMs = async () => {
      await using worker = shop.startWorker([], away());
      await worker.line(said);
      worker.kill('SIGTERM');
      expect(await worker.end()).toEqual({ code: 0, signal: null });
      const told = await worker.line('shutting down');
      expect(worker.lines.at(-1)?.msg).toBe('stopped');
      expect(worker.stderr).toBe('');
      return worker.endedAt! - told.time;
    };
    // A connection's time-outs are longer than that, each time; a busy machine may be so once.
    let tookMs = Infinity;
    for (let tries = 0; tries < 3 && tookMs >= 4_000; tries++) tookMs = await endsWithinMs();
    expect(tookMs).toBeLessThan(4_000);
  });
});

it('SIGTERM ends a worker at once while the setup of its application is still at work', async () => {
  await using worker = startCli(['worker'], { env: shop.env, cwd: fixture('slow-setup') });
  await worker.line('setting up');
  worker.kill('SIGTERM');
  expect(await worker.end()).toEqual({ code: 0, signal: null });
});

it('does not wait for a namespace that does not exist', async () => {
  await using worker = shop.startWorker([], { TEMPORAL_NAMESPACE: 'nowhere' });
  expect(await worker.end()).toEqual({ code: 1, signal: null });
  expect(worker.stderr).toMatch(/^error: temporal\.namespace: Temporal at .* has no namespace 'nowhere'\. Create it .*\n$/);
  expect(worker.lines.filter(({ level }) => level >= 40)).toEqual([]);
});

it('does not wait for tables that are missing, and names them', async () => {
  await using database = await freshDatabase();
  await using worker = shop.startWorker([], { DATABASE_URL: database.url });
  expect(await worker.end()).toEqual({ code: 1, signal: null });
  expect(worker.stderr).toBe(`error: database.schema: tables are missing or out of date:
  'Step': relation "public.step" does not exist
  'Poison': relation "public.poison" does not exist
  'Letter': relation "public.letter" does not exist
  'Deaf': relation "public.deaf" does not exist
  the attempt history: relation "public.async_job_attempt" does not exist
  the worker registry: relation "public.async_job_worker" does not exist
Run the application's migrations (npx mikro-orm migration:up), or for a first try orm.schema.update().
`);
});
