// `asyncjob worker` as a user calls it: which queues it serves, what it says, and how much it runs at once.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uniqueQueue } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { Letter, Step } from './fixtures/app/jobs.ts';
import { mostAtOnce, openApplication, type TestApplication } from './support/application.ts';
import { fixture, startCli } from './support/cli.ts';

let shop: TestApplication;
beforeAll(async () => {
  shop = await openApplication();
});
afterAll(() => shop?.[Symbol.asyncDispose]());

it.each([
  ['--queue=a,b', (a: string, b: string) => [`--queue=${a},${b}`]],
  ['--queue a --queue b', (a: string, b: string) => ['--queue', a, '--queue', b]],
])('%s serves both queues', async (_, toArguments) => {
  const [a, b] = [uniqueQueue('a'), uniqueQueue('b')];
  await using worker = await shop.readyWorker(toArguments(a, b));
  expect(await worker.line('worker starts')).toMatchObject({ queues: `${a}, ${b}` });
  const jobs = [await Step.enqueue({ released: true }, { queue: a }), await Letter.enqueue({ released: true }, { queue: b })];
  for (const job of jobs) {
    expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 1 });
    expect((await shop.happenings(job)).map(({ pid, what }) => [pid, what])).toEqual([
      [worker.pid, 'began'],
      [worker.pid, 'ended'],
    ]);
  }
});

it('serves the queue default when none is named, and says at once what it serves and whom it talks to', async () => {
  await using worker = await shop.readyWorker(['--concurrency', '3']);
  const { host, pathname, password } = new URL(shop.env['DATABASE_URL']!);
  expect(worker.lines.find(({ level }) => level >= 30)).toMatchObject({
    msg: expect.stringMatching(/^asyncjob \d+\.\d+\.\d+: worker starts$/) as string,
    application: shop.app.name,
    config: 'asyncjob.config.ts',
    queues: 'default',
    concurrency: 3,
    handlers: { default: 'Deaf, Poison, Step', post: 'Letter' },
    temporal: `${shop.env['TEMPORAL_ADDRESS']}, namespace default`,
    database: `${host}${pathname}`,
  });
  expect(await shop.settled(await Step.enqueue({ released: true }))).toMatchObject({ status: 'SUCCESS' });
  expect(JSON.stringify(worker.lines)).not.toContain(password);
});

it('finds its application by -A from another folder, logs what -l says, and warns of a queue that no class has', async () => {
  const args = ['worker', '-A', 'app/asyncjob.config.ts', '-l', 'warning', '-Q', 'post,pots'];
  await using worker = startCli(args, { env: shop.env, cwd: fixture('.') });
  expect(await shop.settled(await Letter.enqueue({ released: true }))).toMatchObject({ status: 'SUCCESS' });
  expect(worker.lines.filter(({ level }) => level < 40)).toEqual([]);
  expect(worker.lines.filter((line) => 'queues' in line)).toEqual([expect.objectContaining({ level: 40, queues: ['pots'] })]);
});

it('never runs more handlers at once than --concurrency, however many queues it serves', async () => {
  const [a, b] = [uniqueQueue('a'), uniqueQueue('b')];
  const jobs = await Promise.all([a, b, a, b, a, b].map((queue) => Step.enqueue({}, { queue })));
  await using worker = await shop.readyWorker([`--queue=${a},${b}`, '--concurrency=2']);
  const begun = async () => {
    const mine = (await shop.happenings()).filter(({ pid }) => pid === worker.pid);
    return { mine, ids: new Set(mine.map(({ jobId }) => jobId)) };
  };
  for (let ended = 0; ended < jobs.length; ended++) {
    const { ids } = await until(async () => {
      const now = await begun();
      return now.ids.size >= Math.min(ended + 2, jobs.length) ? now : null;
    });
    // The one that has been at work longest.
    const { mine } = await begun();
    const busy = jobs.find(({ id }) => ids.has(id) && !mine.some(({ jobId, what }) => jobId === id && what === 'ended'))!;
    await shop.release(busy);
    await shop.settled(busy);
  }
  const { mine } = await begun();
  expect(mine).toHaveLength(2 * jobs.length);
  expect(mostAtOnce(mine)).toBe(2);
});
