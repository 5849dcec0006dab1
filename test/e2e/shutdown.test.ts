// How a worker ends: what runs may finish, what cannot is handed back, and the process ends in any case.
import { AsyncJobWorker } from 'asyncjob';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uniqueQueue } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { Deaf, Step } from './fixtures/app/jobs.ts';
import { openApplication, type TestApplication } from './support/application.ts';
import type { Child } from './support/cli.ts';

let shop: TestApplication;
beforeAll(async () => {
  shop = await openApplication();
});
afterAll(() => shop?.[Symbol.asyncDispose]());

const registryRowOf = (worker: Child) => shop.app.orm.em.fork().findOneOrFail(AsyncJobWorker, { pid: worker.pid });

it('after SIGTERM a running job ends as SUCCESS, none is taken any more, and the worker ends in order', async () => {
  const queue = uniqueQueue();
  await using worker = await shop.readyWorker(['-Q', queue, '-c', '2']);
  const running = await Step.enqueue({}, { queue });
  await shop.happened(running, 'began');

  worker.kill('SIGTERM');

  await worker.line('shutting down');
  const late = await Step.enqueue({ released: true }, { queue });
  await shop.release(running);
  expect(await worker.end()).toEqual({ code: 0, signal: null });
  expect(await running.refresh()).toMatchObject({ status: 'SUCCESS', attempt: 1 });
  expect(await late.refresh()).toMatchObject({ status: 'PENDING', attempt: 0 });
  expect(await registryRowOf(worker)).toMatchObject({ stoppedAt: expect.any(Date) as Date, jobs: [] });
  expect(worker.lines.at(-1)).toMatchObject({ msg: 'stopped' });
  expect(worker.stderr).toBe('');
});

it('after SIGTERM not even a job begins that waited in the worker for one of another queue', async () => {
  const [a, b] = [uniqueQueue('a'), uniqueQueue('b')];
  await using worker = await shop.readyWorker([`--queue=${a},${b}`, '-c', '1']);
  const running = await Step.enqueue({}, { queue: a });
  await shop.happened(running, 'began');
  const waiting = await Step.enqueue({ released: true }, { queue: b });
  const handle = shop.app.temporal.workflow.getHandle(`${shop.app.name}/Step/${waiting.id}/1`);
  await until(async () => (await handle.describe()).raw.pendingActivities?.some(({ lastStartedTime }) => lastStartedTime), {
    what: 'the worker has taken the second job',
  });

  worker.kill('SIGTERM');

  await worker.line('shutting down');
  await shop.release(running);
  expect(await worker.end()).toEqual({ code: 0, signal: null });
  expect(await running.refresh()).toMatchObject({ status: 'SUCCESS' });
  expect(await waiting.refresh()).toMatchObject({ status: 'PENDING', attempt: 0 });
});

it('a job that outlasts the drain timeout is stopped and handed back, and another worker runs it within seconds', async () => {
  const queue = uniqueQueue();
  await using first = await shop.readyWorker(['-Q', queue, '--drain-timeout', '300ms']);
  const job = await Step.enqueue({}, { queue });
  await shop.happened(job, 'began');
  await using second = await shop.readyWorker(['-Q', queue]);

  first.kill('SIGTERM');

  const stopped = await shop.happened(job, 'stopped: shutdown', { attempt: 1 });
  const again = await shop.happened(job, 'began', { attempt: 2 });
  expect(again.pid).toBe(second.pid);
  // Its heartbeat timeout is longer.
  expect(again.at.getTime() - stopped.at.getTime()).toBeLessThan(10_000);
  expect(await first.end()).toEqual({ code: 0, signal: null });
  expect(await registryRowOf(first)).toMatchObject({ stoppedAt: expect.any(Date) as Date });
  await shop.release(job);
  expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 2, failures: 0, crashes: 0 });
  expect(await shop.history(job)).toEqual(['handed_back']);
});

it('a job that ignores its signal cannot keep the worker from ending, and another worker runs it later', async () => {
  const queue = uniqueQueue();
  await using first = await shop.readyWorker(['-Q', queue, '--drain-timeout', '0']);
  const job = await Deaf.enqueue({}, { queue });
  await shop.happened(job, 'began', { by: first });
  await using second = await shop.readyWorker(['-Q', queue]);

  first.kill('SIGTERM');

  expect(await first.end()).toEqual({ code: 1, signal: null });
  expect(first.stderr).toMatch(
    new RegExp(`^error: worker\\.abandoned: attempts ended neither within the drain timeout \\(0 ms\\) .* of job ${job.id}\\. .*\\n$`),
  );
  // It may have been at work until the very end: only its registry row's expiry says that it is not any more.
  const { stoppedAt, expiresAt } = await registryRowOf(first);
  expect(stoppedAt).toBeNull();
  await shop.settled(job);
  const again = await shop.happened(job, 'began', { by: second });
  expect(again.attempt).toBeGreaterThanOrEqual(2);
  expect(job).toMatchObject({ status: 'SUCCESS', attempt: again.attempt, failures: 0, crashes: 1 });
  expect(again.at.getTime()).toBeGreaterThanOrEqual(expiresAt.getTime());
});

it('a handler that leaked a transaction cannot keep a drained worker from ending', async () => {
  const queue = uniqueQueue();
  await using worker = await shop.readyWorker(['-Q', queue]);
  const job = await Step.enqueue({ released: true, note: 'leak a transaction' }, { queue });
  await shop.settled(job);

  worker.kill('SIGTERM');

  expect(await worker.end()).toEqual({ code: 0, signal: null });
});

it('a second SIGTERM ends the worker at once', async () => {
  const queue = uniqueQueue();
  await using worker = await shop.readyWorker(['-Q', queue]);
  const job = await Step.enqueue({}, { queue });
  await shop.happened(job, 'began');

  worker.kill('SIGTERM');
  await worker.line('shutting down');
  worker.kill('SIGTERM');

  expect(await worker.end()).toEqual({ code: 143, signal: null });
  expect(await job.refresh()).toMatchObject({ status: 'STARTED', attempt: 1 });
});
