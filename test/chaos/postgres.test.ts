// PostgreSQL goes away, comes back, or is silent: nobody's work is lost, repeated or blamed for it.
import { expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { Held, Pages, Quick, Slow } from './fixtures/app/jobs.ts';
import { IS_LONG } from './support/patience.ts';
import { withStage } from './support/with-stage.ts';

const stage = withStage({ proxies: true });

const AWAY_MS = IS_LONG ? 180_000 : 20_000;

const ONE_RUN = { status: 'SUCCESS', run: 1, failures: 0, crashes: 0, effects: ['began', 'ended'] };

/** The settled row, and what its handlers did. */
async function outcomeOf(job: Held): Promise<object> {
  const row = await stage().settled(job);
  return { ...row, effects: (await stage().effects(job)).map(({ what }) => what) };
}

/** Jobs that did not succeed at once. */
async function troubled(): Promise<object[]> {
  const rows = await stage().rows();
  return rows.filter(({ status, run, failures, crashes }) => status !== 'SUCCESS' || run > 1 || failures > 0 || crashes > 0);
}

it('a handler that ends while PostgreSQL is away keeps its result and is not run again', async () => {
  await stage().worker();
  const job = await Held.enqueue({});
  await stage().happened(job, 'began');

  await stage().postgres.kill9();
  await stage().release(job);
  await stage().happened(job, 'ended');
  await stage().postgres.start();

  expect(await outcomeOf(job)).toMatchObject(ONE_RUN);
});

it('a result whose write was applied but never answered is written once, and the handler is not run again', async () => {
  await stage().worker();
  const job = await Held.enqueue({});
  await stage().happened(job, 'began');

  stage().postgresProxy.mode = 'drop-answers';
  await stage().release(job);
  await stage().until(job, ({ status }) => status === 'SUCCESS');
  stage().postgresProxy.mode = 'open';

  expect(await outcomeOf(job)).toMatchObject(ONE_RUN);
  // The worker goes on.
  expect(await stage().settled(await Quick.enqueue({}))).toMatchObject({ status: 'SUCCESS' });
});

it('a checkpoint waits for a PostgreSQL that is away, instead of failing its job', async () => {
  await stage().worker();
  const job = await Pages.enqueue({ pages: 5, pageMs: 200 });
  await stage().happened(job, 'page', { detail: '2' });

  await stage().postgres.kill9();
  await stage().happened(job, 'page', { detail: '3' });
  await stage().postgres.start();

  expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, failures: 0, crashes: 0 });
});

it('a restart of PostgreSQL under load costs no job anything', async () => {
  await stage().workersOf(2);
  const ids = await Slow.enqueueMany(Array.from({ length: 20 }, () => ({ steps: 20 })));
  await Quick.enqueueMany(Array.from({ length: 60 }, () => ({})));
  const some = (await Slow.get(ids[0]!))!;
  await stage().happened(some, 'began');
  await stage().postgres.restart();
  await stage().until(some, ({ status }) => status === 'SUCCESS');
  await stage().postgres.restart();
  await stage().quiet();
  expect(await troubled()).toEqual([]);
});

it(`${AWAY_MS / 1000} seconds without PostgreSQL, with hundreds of jobs waiting, fail none and count nothing against them`, async () => {
  await stage().worker();
  const held = await Held.enqueue({});
  await stage().happened(held, 'began');
  await Quick.enqueueMany(Array.from({ length: 200 }, () => ({})));

  await stage().postgres.kill9();
  await sleep(AWAY_MS);
  await stage().postgres.start();

  await stage().release(held);
  expect(await outcomeOf(held)).toMatchObject(ONE_RUN);
  await stage().quiet();
  expect(await troubled()).toEqual([]);
});

it('a network that swallows everything for longer than a worker counts as alive delays a job, and repeats nothing', async () => {
  await stage().workersOf(2);
  const job = await Held.enqueue({});
  await stage().happened(job, 'began');

  stage().postgresProxy.mode = 'swallow';
  await sleep(8_000);
  stage().postgresProxy.mode = 'open';

  await stage().release(job);
  expect(await outcomeOf(job)).toMatchObject(ONE_RUN);
});

it('connections that are silent for ever, while new ones work, stop no worker', async () => {
  await stage().worker();
  const job = await Held.enqueue({});
  await stage().happened(job, 'began');

  stage().postgresProxy.forgetLines();

  await stage().release(job);
  expect(await outcomeOf(job)).toMatchObject(ONE_RUN);
  const { rows } = await stage().db.query<{ id: string }>(`insert into quick (status) values ('PENDING') returning id::text`);
  expect(await stage().settled((await Quick.get(rows[0]!.id))!)).toMatchObject({ status: 'SUCCESS' });
});
