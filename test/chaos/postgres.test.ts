// PostgreSQL goes away, comes back, or is silent: nobody's work is lost, repeated or blamed for it.
import { expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AsyncJob } from 'asyncjob';
import { Quick } from './fixtures/app/jobs.ts';
import { inEveryWay } from './support/in-every-way.ts';
import { IS_LONG } from './support/patience.ts';
import { until } from '../support/until.ts';
import { withStage } from './support/with-stage.ts';

const stage = withStage({ proxies: true });

const AWAY_MS = IS_LONG ? 180_000 : 20_000;

/** Jobs that are at work until they are released. */
async function atWork(): Promise<AsyncJob[]> {
  const jobs = await inEveryWay(({ Held }) => Held.enqueue({}));
  for (const job of jobs) await stage().happened(job, 'began');
  return jobs;
}

const ONE_RUN = { status: 'SUCCESS', run: 1, failures: 0, crashes: 0, effects: ['began', 'ended'] };

/** The settled rows, and what their handlers did. */
function outcomesOf(jobs: readonly AsyncJob[]): Promise<object[]> {
  return Promise.all(
    jobs.map(async (job) => ({ ...(await stage().settled(job)), effects: (await stage().effects(job)).map(({ what }) => what) })),
  );
}

const many = <T extends object>(count: number, data = {} as T) => Array.from({ length: count }, () => data);

/** Jobs that did not succeed at once. */
async function troubled(): Promise<object[]> {
  const rows = await stage().rows();
  return rows.filter(({ status, run, failures, crashes }) => status !== 'SUCCESS' || run > 1 || failures > 0 || crashes > 0);
}

it('a handler that ends while PostgreSQL is away keeps its result and is not run again', async () => {
  await stage().worker();
  const jobs = await atWork();

  await stage().postgres.kill9();
  await stage().release(...jobs);
  for (const job of jobs) await stage().happened(job, 'ended');
  await stage().postgres.start();

  expect(await outcomesOf(jobs)).toMatchObject(jobs.map(() => ONE_RUN));
});

it('a result whose write was applied but never answered is written once, and the handler is not run again', async () => {
  await stage().worker();
  const jobs = await atWork();

  const proxy = stage().postgresProxy;
  for (const job of jobs) {
    proxy.onRequest = (bytes) => {
      if (bytes.includes(`= 'SUCCESS', "progress" = 1`)) proxy.mode = 'drop-answers';
    };
    await stage().release(job);
    await stage().until(job, ({ status }) => status === 'SUCCESS');
    expect(proxy.mode).toBe('drop-answers');
    proxy.onRequest = () => undefined;
    proxy.mode = 'open';
  }

  expect(await outcomesOf(jobs)).toMatchObject(jobs.map(() => ONE_RUN));
  // The worker goes on.
  const next = await inEveryWay(({ Quick }) => Quick.enqueue({}));
  expect(await outcomesOf(next)).toMatchObject(next.map(() => ONE_RUN));
});

it('a checkpoint waits for a PostgreSQL that is away, instead of failing its job', async () => {
  await stage().worker();
  const pageMs = 200;
  const jobs = await inEveryWay(({ Pages }) => Pages.enqueue({ pages: 20, pageMs, heldAfter: 10 }));
  for (const job of jobs) await stage().happened(job, 'page', { detail: '2' });

  await stage().postgres.kill9();
  await stage().release(...jobs);
  const pages = async () => (await stage().effects()).filter(({ what }) => what === 'page');
  const stands = async () => (await pages()).every(({ at }) => at < Date.now() - 5 * pageMs);
  await until(stands, { what: 'every handler waits in its checkpoint' });
  expect((await pages()).length).toBeLessThan(20 * jobs.length);
  await stage().postgres.start();

  for (const job of jobs)
    expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, attempt: 1, failures: 0, crashes: 0 });
});

it('a restart of PostgreSQL under load costs no job anything', async () => {
  await stage().workersOf(2);
  const some = await inEveryWay(async ({ Slow, Quick }) => {
    const ids = await Slow.enqueueMany(many(7, { steps: 20 }));
    await Quick.enqueueMany(many(20));
    return (await Slow.get(ids[0]!))!;
  });
  for (const job of some) await stage().happened(job, 'began');
  await stage().postgres.restart();
  for (const job of some) await stage().until(job, ({ status }) => status === 'SUCCESS');
  await stage().postgres.restart();
  await stage().quiet();
  expect(await troubled()).toEqual([]);
});

it(`${AWAY_MS / 1000} seconds without PostgreSQL, with hundreds of jobs waiting, fail none and count nothing against them`, async () => {
  await stage().worker();
  const held = await atWork();
  await inEveryWay(({ Quick }) => Quick.enqueueMany(many(80)));

  await stage().postgres.kill9();
  await sleep(AWAY_MS);
  await stage().postgres.start();

  await stage().release(...held);
  expect(await outcomesOf(held)).toMatchObject(held.map(() => ONE_RUN));
  await stage().quiet();
  expect(await troubled()).toEqual([]);
});

it('a network that swallows everything for longer than a worker counts as alive delays a job, and repeats nothing', async () => {
  await stage().workersOf(2);
  const jobs = await atWork();

  stage().postgresProxy.mode = 'swallow';
  await sleep(8_000);
  stage().postgresProxy.mode = 'open';

  await stage().release(...jobs);
  expect(await outcomesOf(jobs)).toMatchObject(jobs.map(() => ONE_RUN));
});

it('connections that are silent for ever, while new ones work, stop no worker', async () => {
  await stage().worker();
  const jobs = await atWork();

  stage().postgresProxy.forgetLines();

  await stage().release(...jobs);
  expect(await outcomesOf(jobs)).toMatchObject(jobs.map(() => ONE_RUN));
  const { rows } = await stage().db.query<{ id: string }>(`insert into quick (status) values ('PENDING') returning id::text`);
  expect(await stage().settled((await Quick.get(rows[0]!.id))!)).toMatchObject({ status: 'SUCCESS' });
});
