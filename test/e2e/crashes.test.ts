// Workers that die without a word: their jobs are found, counted, and never run twice at once.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uniqueQueue } from '../support/servers.ts';
import { Poison, Step } from './fixtures/app/jobs.ts';
import { openApplication, workersKilledBy, type TestApplication } from './support/application.ts';

let shop: TestApplication;
beforeAll(async () => {
  shop = await openApplication();
});
afterAll(() => shop?.[Symbol.asyncDispose]());

it('a job whose worker is killed is finished by another one, and the row says so', async () => {
  const queue = uniqueQueue();
  await using first = await shop.readyWorker(['-Q', queue]);
  const job = await Step.enqueue({}, { queue });
  await shop.happened(job, 'began');
  await using second = await shop.readyWorker(['-Q', queue]);

  first.kill('SIGKILL');

  await first.end();
  const again = await shop.happened(job, 'began', 2);
  await shop.release(job);
  await shop.settled(job);
  expect(job).toMatchObject({ status: 'SUCCESS', attempt: 2, crashes: 1, failures: 0, holder: null });
  expect(job.note).toBe(`done by ${second.pid} in attempt 2`);
  expect(await shop.history(job)).toEqual(['crashed']);
  // Never two at once.
  expect(again.at.getTime()).toBeGreaterThan(first.endedAt!);
  expect((await shop.happenings(job)).map(({ pid, what }) => [pid, what])).toEqual([
    [first.pid, 'began'],
    [second.pid, 'began'],
    [second.pid, 'ended'],
  ]);
});

it('a job that kills every worker ends as FAILURE once its crashRetries are used up', async () => {
  const queue = uniqueQueue();
  const job = await Poison.enqueue({}, { queue });
  expect(await workersKilledBy(shop, job, ['-Q', queue])).toEqual(['SIGKILL', 'SIGKILL']);
  expect(job).toMatchObject({ status: 'FAILURE', crashes: 2, failures: 0, error: { code: 'job.crashed_repeatedly', retryable: false } });
  expect(await shop.history(job)).toEqual(['crashed', 'crashed']);
  expect((await shop.happenings(job)).map(({ attempt, what }) => [attempt, what])).toEqual([
    [1, 'began'],
    [2, 'began'],
  ]);
});
