// What is committed as PENDING runs, whoever wrote it and whatever was away or died before Temporal heard of it.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTemporal, type TemporalServer } from '../../src/dev/index.ts';
import { lastingPort } from '../support/lasting-port.ts';
import { temporalCli, uniqueQueue } from '../support/servers.ts';
import { Letter, Step } from './fixtures/app/jobs.ts';
import { openApplication, type TestApplication } from './support/application.ts';
import { Child, fixture } from './support/cli.ts';

let temporal: TemporalServer;
let shop: TestApplication;
let worker: Child;
beforeAll(async () => {
  temporal = await startTemporal({ cli: temporalCli(), ui: false, port: await lastingPort() });
  shop = await openApplication({ temporalAddress: temporal.address });
  worker = await shop.readyWorker(['-Q', 'default,post']);
});
afterAll(async () => {
  await worker?.[Symbol.asyncDispose]();
  await shop?.[Symbol.asyncDispose]();
  await temporal?.stop();
});

it.each([
  ['a class of the queue default', 'step', Step],
  ['a class of another queue', 'letter', Letter],
])('runs a row that was inserted by SQL, of %s', async (_, table, jobClass) => {
  const { rows } = await shop.db.query<{ id: string }>(`insert into ${table} (status) values ('PENDING') returning id`);
  const job = (await (jobClass as typeof Step).get(rows[0]!.id))!;
  await shop.release(job);
  expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 1 });
});

it('runs a job whose process died between the commit and the dispatch', async () => {
  await using enqueuer = new Child([fixture('app/dies-after-commit.ts')], { env: shop.env });
  expect(await enqueuer.end()).toEqual({ code: null, signal: 'SIGKILL' });
  const job = (await Step.latest())!;
  expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 1, run: 1 });
  const { events } = await shop.app.temporal.workflow.getHandle(job.workflowId!).fetchHistory();
  const startedBy = events![0]!.workflowExecutionStartedEventAttributes!.identity;
  expect(startedBy).toMatch(new RegExp(`^${worker.pid}@`));
});

it('a worker that is told to end while Temporal is away ends, and the rows know what Temporal does not', async () => {
  const queue = uniqueQueue();
  await using other = await shop.readyWorker(['-Q', queue]);
  const job = await Step.enqueue({}, { queue });
  await shop.happened(job, 'began');
  const { port } = temporal;
  await temporal.kill9();

  other.kill('SIGTERM');

  await other.line('shutting down');
  await shop.release(job);
  expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 1 });
  expect(await other.end()).toEqual({ code: 0, signal: null });
  await temporal.stop();
  temporal = await startTemporal({ cli: temporalCli(), ui: false, port });
});

it('enqueues while Temporal is away, within the deadline and then at once, and dispatches when it is back', async () => {
  const { port } = temporal;
  await temporal.kill9();

  const jobs: Step[] = [];
  const tookMs: number[] = [];
  for (let i = 0; i < 4; i++) {
    const startedAt = performance.now();
    jobs.push(await Step.enqueue({ released: true }));
    tookMs.push(performance.now() - startedAt);
  }

  // The deadline is 5 s, and known to be away is not asked again but once a second.
  expect(tookMs[0]).toBeLessThan(15_000);
  expect(Math.min(...tookMs.slice(1))).toBeLessThan(1_000);
  for (const job of jobs) expect(await job.refresh()).toMatchObject({ status: 'PENDING', runId: null });
  await temporal.stop();
  temporal = await startTemporal({ cli: temporalCli(), ui: false, port });
  for (const job of jobs) expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 1 });
});
