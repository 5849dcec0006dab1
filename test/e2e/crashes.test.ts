// Workers that die without a word: their jobs are found, counted, and never run twice at once.
import { AsyncJobWorker } from 'asyncjob';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uniqueQueue } from '../support/servers.ts';
import { Letter, Poison } from './fixtures/app/jobs.ts';
import { openApplication, workersKilledBy, type TestApplication } from './support/application.ts';

let shop: TestApplication;
beforeAll(async () => {
  shop = await openApplication();
});
afterAll(() => shop?.[Symbol.asyncDispose]());

it('a job whose worker is killed is finished by another one, and the row says so', async () => {
  const queue = uniqueQueue();
  await using first = await shop.readyWorker(['-Q', queue]);
  const job = await Letter.enqueue({}, { queue });
  await shop.happened(job, 'began', { by: first });
  await using second = await shop.readyWorker(['-Q', queue]);

  first.kill('SIGKILL');

  await first.end();
  const again = await shop.happened(job, 'began', { by: second });
  await shop.release(job);
  await shop.settled(job);
  // Temporal may have sent attempts that only waited for the dead worker's row to expire.
  expect(again.attempt).toBeGreaterThanOrEqual(2);
  expect(job).toMatchObject({ status: 'SUCCESS', attempt: again.attempt, crashes: 1, failures: 0, holder: null });
  expect(await shop.history(job)).toEqual(['crashed']);
  // Never two at once.
  const { expiresAt } = await shop.app.orm.em.fork().findOneOrFail(AsyncJobWorker, { pid: first.pid });
  expect(again.at.getTime()).toBeGreaterThanOrEqual(expiresAt.getTime());
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
  const [one, another, ...more] = await shop.happenings(job);
  expect([one?.what, another?.what, more]).toEqual(['began', 'began', []]);
  expect(another!.pid).not.toBe(one!.pid);
  expect(another!.attempt).toBeGreaterThan(one!.attempt);
});
