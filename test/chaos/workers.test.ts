// Workers that die, hang, are deployed, or know nothing of a job.
import { expect, it } from 'vitest';
import { KINDS } from './fixtures/app/jobs.ts';
import { inEveryWay } from './support/in-every-way.ts';
import { withStage } from './support/with-stage.ts';
import { until } from '../support/until.ts';
import { PATIENCE_MS } from './support/patience.ts';
import type { JobRow } from './support/stage.ts';

const stage = withStage();
const { Blocker, Fragile, Greedy, Poison } = KINDS.workflow;

/** In a lane exactly that. Temporal may send one more while it waits for the time to live of the dead worker. */
const isSecondAttempt = ({ jobType, attempt }: JobRow) => (jobType.endsWith('Lane') ? attempt === 2 : attempt >= 2);

it('a job whose worker is killed in the middle is finished by another one, from its checkpoint on', async () => {
  const [first] = await stage().workersOf(1);
  const held = await inEveryWay(({ Held }) => Held.enqueue({}));
  const pages = await inEveryWay(({ Pages }) => Pages.enqueue({ pages: 6, heldAfter: 3 }));
  for (const job of held) await stage().happened(job, 'began');
  for (const job of pages) await stage().happened(job, 'page', { detail: '3' });

  await first!.kill9();
  const second = await stage().worker();

  for (const job of held) await stage().happened(job, 'began', { pid: second.pid });
  await stage().release(...held, ...pages);
  for (const job of held) {
    const row = await stage().settled(job);
    expect(row).toMatchObject({ status: 'SUCCESS', run: 1, crashes: 1, failures: 0, holder: null });
    expect(row).toSatisfy(isSecondAttempt);
  }
  for (const job of pages) {
    const row = await stage().settled(job);
    expect(row).toMatchObject({ status: 'SUCCESS', run: 1, crashes: 1 });
    expect(row).toSatisfy(isSecondAttempt);
    const again = (await stage().effects(job)).filter(({ pid, what }) => pid === second.pid && what === 'page');
    expect(Number(again[0]!.detail)).toBeGreaterThanOrEqual(3);
  }
});

it('a worker that hung for longer than it counts as alive writes nothing over what followed it', async () => {
  const [zombie] = await stage().workersOf(1);
  const jobs = await inEveryWay(({ Held }) => Held.enqueue({ deaf: true }));
  for (const job of jobs) await stage().happened(job, 'began');

  zombie!.freeze();
  const next = await stage().worker();
  for (const job of jobs) await stage().happened(job, 'began', { pid: next.pid });
  await stage().release(...jobs);
  zombie!.thaw();

  for (const job of jobs) {
    // Attempts that Temporal gave to the hanging process meanwhile are lost: the number says nothing.
    const settled = await stage().settled(job);
    expect(settled).toMatchObject({ status: 'SUCCESS', run: 1, crashes: 1, failures: 0 });
    expect(settled.note).toContain(`done by ${next.pid} `);
    await stage().happened(job, 'ended', { pid: zombie!.pid });
    await until(() => zombie!.lines.some(({ msg, jobId }) => jobId === job.id && msg.includes('another attempt')), {
      timeoutMs: PATIENCE_MS,
    });
    expect(await stage().row(job)).toEqual(settled);
  }
});

it('a job that kills every worker ends as FAILURE, and one that kills a worker once as SUCCESS', async () => {
  // One dies of its first attempt, one of its second, and the third has the last word.
  await stage().workersOf(3);
  const poison = await Poison.enqueue({});
  const fragile = await Fragile.enqueue({});
  const replaced = new Set(stage().workers);
  while ((await stage().row(poison)).status !== 'FAILURE') {
    await until(async () => (await stage().row(poison)).status === 'FAILURE' || [...replaced].some(({ hasEnded }) => hasEnded), {
      timeoutMs: PATIENCE_MS,
    });
    for (const worker of replaced) if (worker.hasEnded) replaced.delete(worker);
    if (replaced.size === 0) replaced.add(await stage().worker());
  }
  expect(await stage().row(poison)).toMatchObject({ crashes: 2, failures: 0, error: { code: 'job.crashed_repeatedly' } });
  expect(await stage().settled(fragile)).toMatchObject({ status: 'SUCCESS', failures: 0 });
});

it('a blocked event loop costs nothing but time: the job is not run twice, nobody fails, and a log line names it', async () => {
  const worker = await stage().worker();
  await stage().worker();
  const held = await inEveryWay(({ Held }) => Held.enqueue({}));
  for (const job of held) await stage().happened(job, 'began');
  const blocker = await Blocker.enqueue({ blockMs: 8_000 });
  expect(await stage().settled(blocker)).toMatchObject({ status: 'SUCCESS', crashes: 0, failures: 0 });
  await stage().release(...held);
  for (const job of held) expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 1, crashes: 0, failures: 0 });
  expect((await stage().effects(blocker)).map(({ what }) => what)).toEqual(['began', 'ended']);
  const warnings = [...stage().workers].flatMap(({ lines }) => lines).filter(({ level }) => level >= 40);
  expect(warnings.some((line) => JSON.stringify(line).includes(blocker.id))).toBe(true);
  expect(worker.hasEnded).toBe(false);
});

it('a deploy in the middle of long jobs hands them over within seconds and counts nothing against them', async () => {
  // Nobody is given up within minutes: what goes on within seconds was handed over.
  const env = { ASYNCJOB_WORKER_TTL: '5m' };
  const drained = () => stage().worker(['--drain-timeout', '500ms'], env);
  const old = await Promise.all([drained(), drained()]);
  const enqueued = await inEveryWay(async ({ Watched }) => {
    const ids = await Watched.enqueueMany(Array.from({ length: 7 }, () => ({})));
    return Watched.find({ id: { $in: ids } });
  });
  const jobs = enqueued.flat();
  for (const job of jobs) await stage().happened(job, 'began');
  for (const worker of old) {
    await stage().worker([], env);
    worker.terminate();
    expect(await worker.end()).toEqual({ code: 0, signal: null });
  }
  await stage().release(...jobs);
  for (const job of jobs) expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, crashes: 0, failures: 0 });
  const effects = await stage().effects();
  const handOvers = effects
    .filter(({ what, jobType }) => what === 'stopped' && jobType.startsWith('Watched'))
    .map(
      (stopped) => effects.find(({ jobId, what, at }) => jobId === stopped.jobId && what === 'began' && at > stopped.at)!.at - stopped.at,
    );
  expect(handOvers.length).toBeGreaterThanOrEqual(jobs.length);
  expect(Math.max(...handOvers)).toBeLessThan(30_000);
});

it('a job of a class that no worker knows waits visibly, and runs as soon as one knows it', async () => {
  await stage().worker();
  const jobs = await inEveryWay(({ Rare }) => Rare.enqueue({}));
  for (const job of jobs) await stage().until(job, ({ status, error }) => status === 'PENDING' && error?.code === 'handler.missing');
  await stage().endWorkers();
  await stage().worker([], { KNOWS_RARE: '1' });
  for (const job of jobs)
    expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, failures: 0, crashes: 0, error: null });
});

it('handlers that take every connection of the application keep no job from beginning or ending', async () => {
  await stage().worker();
  const greedy = await Greedy.enqueue({});
  await stage().happened(greedy, 'began');
  const quick = (await inEveryWay(({ Quick }) => Promise.all([Quick.enqueue({}), Quick.enqueue({})]))).flat();
  for (const job of quick) expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', crashes: 0 });
  expect(await stage().row(greedy)).toMatchObject({ status: 'STARTED' });
  await stage().release(greedy);
  expect(await stage().settled(greedy)).toMatchObject({ status: 'SUCCESS', attempt: 1, crashes: 0 });
});
