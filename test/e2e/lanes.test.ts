// Lanes in worker processes that die, hang or are told to end: their rows are taken over, and never run twice at once.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uniqueQueue } from '../support/servers.ts';
import { until } from '../support/until.ts';
import config from './fixtures/lanes/asyncjob.config.ts';
import { Bane, Crumb, Whirl } from './fixtures/lanes/jobs.ts';
import { mostAtOnce, openApplication, workersKilledBy, type TestApplication } from './support/application.ts';
import { fixture, PATIENCE_MS } from './support/cli.ts';

let shop: TestApplication;
beforeAll(async () => {
  shop = await openApplication({ fixture: { folder: fixture('lanes'), config } });
});
afterAll(() => shop?.[Symbol.asyncDispose]());

const release = (...crumbs: Crumb[]) =>
  shop.db.query('update crumb set released = true where id = any($1::uuid[])', [crumbs.map(({ id }) => id)]);
/** When its first attempt ended that did not simply succeed, by the database's clock. */
async function endedAt(crumb: Crumb): Promise<Date> {
  const { rows } = await shop.db.query<{ at: Date }>('select min(ended_at) as at from async_job_attempt where job_id = $1', [crumb.id]);
  return rows[0]!.at;
}
const enqueueCrumbs = (count: number, queue: string) => Promise.all(Array.from({ length: count }, () => Crumb.enqueue({}, { queue })));

it('the jobs of a lane whose worker is killed are taken over after its time to live, and the rows say so', async () => {
  const queue = uniqueQueue();
  await using first = await shop.readyWorker(['-Q', queue]);
  const crumbs = await enqueueCrumbs(5, queue);
  for (const crumb of crumbs) await shop.happened(crumb, 'began');
  await using second = await shop.readyWorker(['-Q', queue]);

  first.kill('SIGKILL');

  await first.end();
  for (const crumb of crumbs) await shop.happened(crumb, 'began', { attempt: 2 });
  await release(...crumbs);
  for (const crumb of crumbs) {
    await shop.settled(crumb);
    expect(crumb).toMatchObject({ status: 'SUCCESS', attempt: 2, crashes: 1, failures: 0, holder: null });
    expect(crumb.note).toBe(`done by ${second.pid} in attempt 2`);
    expect(await shop.history(crumb)).toEqual(['crashed']);
    expect((await shop.happenings(crumb)).map(({ pid, what }) => [pid, what])).toEqual([
      [first.pid, 'began'],
      [second.pid, 'began'],
      [second.pid, 'ended'],
    ]);
  }
});

it('a job that kills every worker ends as FAILURE once its crashRetries are used up', async () => {
  const queue = uniqueQueue();
  const job = await Bane.enqueue({}, { queue });
  expect(await workersKilledBy(shop, job, ['-Q', queue])).toEqual(['SIGKILL', 'SIGKILL']);
  expect(job).toMatchObject({ status: 'FAILURE', crashes: 2, failures: 0, error: { code: 'job.crashed_repeatedly', retryable: false } });
  expect(await shop.history(job)).toEqual(['crashed', 'crashed']);
});

it('after SIGTERM a lane hands over what does not end in time, within seconds, and nothing is counted', async () => {
  const queue = uniqueQueue();
  await using first = await shop.readyWorker(['-Q', queue, '--drain-timeout', '300ms']);
  const crumbs = await enqueueCrumbs(3, queue);
  for (const crumb of crumbs) await shop.happened(crumb, 'began');
  await using second = await shop.readyWorker(['-Q', queue]);

  first.kill('SIGTERM');

  expect(await first.end()).toEqual({ code: 0, signal: null });
  await release(...crumbs);
  for (const crumb of crumbs) {
    const again = await shop.happened(crumb, 'began', { attempt: 2 });
    // The heartbeat timeout of a lane is longer.
    expect(again.at.getTime() - (await endedAt(crumb)).getTime()).toBeLessThan(10_000);
    await shop.settled(crumb);
    expect(crumb).toMatchObject({ status: 'SUCCESS', attempt: 2, crashes: 0, failures: 0 });
    expect(crumb.note).toBe(`done by ${second.pid} in attempt 2`);
    expect(await shop.history(crumb)).toEqual(['handed_back']);
  }
});

it('after SIGTERM a lane takes no further jobs, and those that run may end', async () => {
  const queue = uniqueQueue();
  await using worker = await shop.readyWorker(['-Q', queue]);
  const [running] = (await enqueueCrumbs(1, queue)) as [Crumb];
  await shop.happened(running, 'began');

  worker.kill('SIGTERM');

  await worker.line('shutting down');
  const late = await Crumb.enqueue({ released: true }, { queue });
  await release(running);
  expect(await worker.end()).toEqual({ code: 0, signal: null });
  expect(await running.refresh()).toMatchObject({ status: 'SUCCESS', attempt: 1 });
  expect(await late.refresh()).toMatchObject({ status: 'PENDING', attempt: 0 });
  expect(worker.stderr).toBe('');
});

it('a worker that comes back from the dead writes nothing', async () => {
  const queue = uniqueQueue();
  await using zombie = await shop.readyWorker(['-Q', queue]);
  const [crumb] = (await enqueueCrumbs(1, queue)) as [Crumb];
  await shop.happened(crumb, 'began');
  zombie.kill('SIGSTOP');
  await using second = await shop.readyWorker(['-Q', queue]);
  await shop.happened(crumb, 'began', { attempt: 2 });
  await release(crumb);
  await shop.settled(crumb);
  const settled = { ...(await shop.db.query('select * from crumb where id = $1', [crumb.id])).rows[0] } as object;

  zombie.kill('SIGCONT');

  await until(async () => (await shop.happenings(crumb)).filter(({ pid, what }) => pid === zombie.pid && what !== 'began').length > 0, {
    what: 'the zombie ends its attempt',
    timeoutMs: PATIENCE_MS,
  });
  zombie.kill('SIGTERM');
  await zombie.end();
  expect((await shop.db.query('select * from crumb where id = $1', [crumb.id])).rows[0]).toEqual(settled);
  expect(settled).toMatchObject({ status: 'SUCCESS', attempt: 2, crashes: 1, note: `done by ${second.pid} in attempt 2` });
});

it('jobs of a lane that block the event loop, for longer than the time to live, are nobody’s but their worker’s', async () => {
  const queue = uniqueQueue();
  const jobs = await Promise.all(Array.from({ length: 8 }, () => Whirl.enqueue({ forMs: 1_500 }, { queue })));
  await using _first = await shop.readyWorker(['-Q', queue]);
  await using _second = await shop.readyWorker(['-Q', queue]);
  for (const job of jobs) {
    await shop.settled(job);
    expect(job).toMatchObject({ status: 'SUCCESS', attempt: 1, crashes: 0 });
    expect((await shop.happenings(job)).map(({ what }) => what)).toEqual(['began', 'ended']);
  }
});

it('several processes share a queue, and no job runs twice', async () => {
  const queue = uniqueQueue();
  await using supervisor = shop.startWorker(['-Q', queue, '--processes', '2']);
  const ids = await shop.app.of(Crumb).enqueueMany(
    Array.from({ length: 60 }, () => ({ released: true })),
    { queue },
  );
  await until(async () => (await Crumb.count({ id: { $in: ids }, status: 'SUCCESS' })) === 60, {
    what: 'all have ended',
    timeoutMs: PATIENCE_MS,
  });
  const happened = (await shop.happenings()).filter(({ jobId }) => ids.includes(jobId));
  expect(happened).toHaveLength(120);
  for (const id of ids) expect(mostAtOnce(happened.filter(({ jobId }) => jobId === id))).toBe(1);
  supervisor.kill('SIGTERM');
  expect(await supervisor.end()).toEqual({ code: 0, signal: null });
});
