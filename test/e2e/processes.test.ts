// `--processes N`: several worker processes under one supervisor.
import { AsyncJobWorker } from 'asyncjob';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uniqueQueue } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { Step } from './fixtures/app/jobs.ts';
import { openApplication, type TestApplication } from './support/application.ts';
import { PATIENCE_MS, type Child } from './support/cli.ts';

let shop: TestApplication;
beforeAll(async () => {
  shop = await openApplication();
});
afterAll(() => shop?.[Symbol.asyncDispose]());

/** The worker processes that take jobs of the queue, as the registry knows them. */
async function pids(queue: string): Promise<number[]> {
  const workers = await shop.app.orm.em.fork().find(AsyncJobWorker, { stoppedAt: null, expiresAt: { $gt: new Date() } });
  return workers.filter(({ queues }) => queues.includes(queue)).map(({ pid }) => pid);
}
/** Once there have been `count` starts, and two processes live. */
async function started(supervisor: Child, queue: string, count: number): Promise<number[]> {
  await until(() => supervisor.lines.filter(({ msg }) => msg === 'ready').length >= count, { timeoutMs: PATIENCE_MS });
  return until(
    async () => {
      const alive = await pids(queue);
      return alive.length === 2 ? alive : null;
    },
    { timeoutMs: PATIENCE_MS },
  );
}
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

it('jobs run in all processes, and one stream of lines says in which', async () => {
  const queue = uniqueQueue();
  await using supervisor = shop.startWorker(['-Q', queue, '-c', '1', '--processes', '2']);
  const children = await started(supervisor, queue, 2);
  const steps = [await Step.enqueue({}, { queue }), await Step.enqueue({}, { queue })];
  const begun = [await shop.happened(steps[0]!, 'began'), await shop.happened(steps[1]!, 'began')];
  expect(new Set(begun.map(({ pid }) => pid))).toEqual(new Set(children));
  await shop.release(...steps);
  for (const step of steps) expect(await shop.settled(step)).toMatchObject({ status: 'SUCCESS' });
  // The line comes after the row.
  const numbers = () => new Set(supervisor.lines.filter(({ msg }) => msg === 'succeeded').map((line) => line['process']));
  await until(() => numbers().size === 2, { what: 'both processes say that a job succeeded' });
  expect(numbers()).toEqual(new Set([1, 2]));

  supervisor.kill('SIGTERM');

  expect(await supervisor.end()).toEqual({ code: 0, signal: null });
  expect(supervisor.lines.filter(({ msg }) => msg === 'stopped')).toHaveLength(2);
  expect(children.filter(isAlive)).toEqual([]);
});

it('a process that dies is restarted, and one that drained is not', async () => {
  const queue = uniqueQueue();
  await using supervisor = shop.startWorker(['-Q', queue, '-c', '1', '-p', '2']);
  const [first, second] = await started(supervisor, queue, 2);

  process.kill(first!, 'SIGKILL');

  expect(await supervisor.line('died: it is restarted')).toMatchObject({ signal: 'SIGKILL', pid: first });
  const now = await started(supervisor, queue, 3);
  expect(now).toContain(second);

  process.kill(second!, 'SIGTERM');

  await supervisor.line('has drained');
  await until(async () => (await pids(queue)).length === 1, { timeoutMs: PATIENCE_MS });
  const step = await Step.enqueue({ released: true }, { queue });
  expect(await shop.settled(step)).toMatchObject({ status: 'SUCCESS' });
  supervisor.kill('SIGTERM');
  expect(await supervisor.end()).toEqual({ code: 0, signal: null });
});

it('SIGTERM lets what runs end in every process, a second one does not', async () => {
  const queue = uniqueQueue();
  await using supervisor = shop.startWorker(['-Q', queue, '-c', '1', '-p', '2']);
  const children = await started(supervisor, queue, 2);
  const step = await Step.enqueue({}, { queue });
  await shop.happened(step, 'began');

  supervisor.kill('SIGTERM');

  await supervisor.line('has drained');
  expect(children.filter(isAlive)).toHaveLength(1);

  supervisor.kill('SIGTERM');

  expect(await supervisor.end()).toEqual({ code: 143, signal: null });
  await until(() => children.filter(isAlive).length === 0, { timeoutMs: PATIENCE_MS });
});

it('the processes drain when their supervisor is killed', async () => {
  const queue = uniqueQueue();
  await using supervisor = shop.startWorker(['-Q', queue, '-p', '2']);
  const children = await started(supervisor, queue, 2);

  supervisor.kill('SIGKILL');

  await supervisor.end();
  await expect.poll(() => children.filter(isAlive), { timeout: PATIENCE_MS }).toEqual([]);
});

it('what cannot start is not restarted for ever: the supervisor ends with its exit code', async () => {
  await using supervisor = shop.startWorker(['-Q', uniqueQueue(), '-p', '2', '--no-wait'], { DATABASE_URL: 'postgres://127.0.0.1:1/none' });
  expect(await supervisor.end()).toEqual({ code: 1, signal: null });
  expect(supervisor.lines.some(({ msg }) => msg.includes('could not start: ending all'))).toBe(true);
});
