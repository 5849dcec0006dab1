// What a worker's lifeline does from outside of the event loop: others see that a busy worker lives, probes and metrics
// answer, people read who blocks the loop, and what blocks it for ever is ended.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { AsyncJob } from 'asyncjob';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres } from '../../src/dev/index.ts';
import { lastingPort } from '../support/lasting-port.ts';
import { until } from '../support/until.ts';
import config from './fixtures/blocking/asyncjob.config.ts';
import { Endless, Late, Nap, Native, NativeLate, Spin } from './fixtures/blocking/jobs.ts';
import { openApplication, type TestApplication } from './support/application.ts';
import { fixture, PATIENCE_MS, type Child, type LogLine } from './support/cli.ts';

const blocking = { folder: fixture('blocking'), config };
const PROBES = ['--probe-port', '0'];

let shop: TestApplication;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-test-'));
  shop = await openApplication({ fixture: blocking });
});
afterAll(async () => {
  await shop?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** What a Spin or Nap waits for. */
function gate(): { file: string; open(): void } {
  const file = path.join(folder, randomUUID());
  return { file, open: () => writeFileSync(file, '') };
}

/** Whether it is said of that job: a busy machine may block the loop, too. */
const isBlockedBy = (job: AsyncJob) => (line: LogLine) => line.msg.includes('has been blocked for') && line['jobId'] === job.id;

interface Answer {
  status: number;
  text: string;
}

async function ask(worker: Child, probe: '/livez' | '/readyz' | '/metrics'): Promise<Answer> {
  const { port } = (await worker.line('probes')) as unknown as { port: number };
  const response = await fetch(`http://127.0.0.1:${port}${probe}`);
  return { status: response.status, text: await response.text() };
}

it('a worker whose event loop is blocked keeps its job, answers probes, and says who blocks it', async () => {
  await using first = await shop.readyWorker(['--concurrency', '1', ...PROBES]);
  await using second = await shop.readyWorker(['--concurrency', '1', ...PROBES]);
  await expect.poll(() => ask(first, '/readyz'), { timeout: PATIENCE_MS }).toEqual({ status: 200, text: '{"ready":true,"blockedMs":0}\n' });
  const { file, open } = gate();
  const job = await Spin.enqueue({ file });
  const { pid } = await shop.happened(job, 'began');
  const busy = pid === first.pid ? first : second;
  const lives = new Set<unknown>();
  const said = () => busy.lines.filter(isBlockedBy(job));
  // Twice as long as its registry row lasts that nobody but the lifeline renews; and it is said again after 5 s.
  await until(
    async () => {
      lives.add((JSON.parse((await ask(busy, '/livez')).text) as { live: boolean }).live);
      const { ready, blockedMs } = JSON.parse((await ask(busy, '/readyz')).text) as { ready: boolean; blockedMs: number };
      return ready && blockedMs > 4_000 && said().length > 1;
    },
    { what: 'it is ready although it is blocked', timeoutMs: PATIENCE_MS },
  );
  const metrics = (await ask(busy, '/metrics')).text;
  open();
  expect([...lives]).toEqual([true]);
  expect(metrics).toContain('# The event loop is blocked');
  expect(metrics).toContain('asyncjob_attempts_running');
  expect(metrics).toMatch(/^asyncjob_event_loop_blocked_seconds ([4-9]|\d\d)/m);

  expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 1, crashes: 0 });
  const happenings = await shop.happenings(job);
  expect(happenings.map(({ pid: by, what }) => [by, what])).toEqual([
    [pid, 'began'],
    [pid, 'ended'],
  ]);
  const bySpin = expect.stringMatching(
    `^the event loop has been blocked for \\d+\\.\\d s by Spin ${job.id} in spinUntilThereIs \\(handlers.ts:`,
  ) as string;
  expect(said().map(({ msg }) => msg)).toEqual(said().map(() => bySpin));
  const after = await busy.lineWhere(
    'for how long',
    ({ msg, jobId }) => msg.includes('the event loop was blocked for') && jobId === job.id,
  );
  expect(after).toMatchObject({ level: 40, jobType: 'Spin', attempt: 1 });
  expect(after.blockedMs).toBeGreaterThan(4_000);
  const [began, ended] = happenings.map(({ at }) => at.getTime()) as [number, number];
  expect(after.blockedMs).toBeLessThan(ended - began + 5_000);
  // What the main loop counts comes a moment after the row.
  await until(
    async () => {
      const { text } = await ask(busy, '/metrics');
      expect(text).toContain('asyncjob_event_loop_blocked_seconds 0\n');
      expect(text).toContain('asyncjob_facts_total{fact="succeeded",result="applied"} 1\n');
      expect(text).toMatch(/^asyncjob_event_loop_blocks_total [1-9]/m);
      expect(text).toContain('asyncjob_undispatched_jobs 0\n');
      expect(text).toContain('asyncjob_undispatched_oldest_seconds 0\n');
      expect(text).toMatch(/^asyncjob_event_loop_blocked_seconds_total ([4-9]|\d\d+)\./m);
      expect(text).toContain('process_cpu_seconds_total');
      expect(text).toContain('asyncjob_wait_seconds_count{job_type="Spin",queue="default"} 1\n');
      expect(text).toContain('asyncjob_attempt_seconds_count{job_type="Spin",queue="default",outcome="succeeded"} 1\n');
      return true;
    },
    { what: 'the metrics', timeoutMs: PATIENCE_MS },
  );
});

it('names the one job of several that blocks the loop', async () => {
  await using worker = await shop.readyWorker(['--concurrency', '3']);
  const { file, open } = gate();
  const naps = await Promise.all([Nap.enqueue({ file }), Nap.enqueue({ file })]);
  for (const nap of naps) await shop.happened(nap, 'began');
  const job = await Spin.enqueue({ file });
  const line = await worker.lineWhere('that it is this one', isBlockedBy(job));
  expect(line).toMatchObject({ jobType: 'Spin' });
  expect(line.msg).not.toContain('Nap');
  open();
  for (const each of [job, ...naps]) expect(await shop.settled(each)).toMatchObject({ status: 'SUCCESS', attempt: 1 });
});

it('names who blocks it under --inspect, and while a debugger has paused it nobody', async () => {
  await using worker = await shop.readyWorker(['--concurrency', '1'], { NODE_OPTIONS: '--inspect=127.0.0.1:0' });
  const { file, open } = gate();
  const job = await Spin.enqueue({ file });
  expect(await worker.lineWhere('that it is this one', isBlockedBy(job))).toMatchObject({ jobType: 'Spin' });
  open();
  expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS' });
  const url = await until(() => /ws:\/\/\S+/.exec(worker.stderr)?.[0]);
  const inspector = new WebSocket(url);
  await once(inspector, 'open');
  const overdue = await Late.enqueue({ forMs: 20_000 });
  await shop.happened(overdue, 'began');
  for (const [id, method] of ['Debugger.enable', 'Debugger.pause'].entries()) inspector.send(JSON.stringify({ id, method }));
  await worker.line('by a debugger that has paused it');
  // Longer than its runTimeout and the grace: it is not killed.
  await until(() => worker.lines.some(({ msg }) => /blocked for ([5-9]|\d\d)\.\d s by a debugger/.test(msg)), { timeoutMs: PATIENCE_MS });
  inspector.send(JSON.stringify({ id: 3, method: 'Debugger.resume' }));
  inspector.close();
  expect(await shop.settled(overdue)).toMatchObject({ status: 'FAILURE', crashes: 0 });
});

it('does not kill an innocent attempt for a native call of another one, nor say that it blocks the loop', async () => {
  await using worker = await shop.readyWorker(['--concurrency', '2']);
  const native = await Native.enqueue({ forSeconds: 12 });
  await shop.happened(native, 'began');
  const late = await Late.enqueue({ forMs: 60_000 });
  expect(await worker.line('the process is not killed')).toMatchObject({ level: 40, jobs: [`Late ${late.id}`] });
  expect(await shop.settled(native)).toMatchObject({ status: 'SUCCESS', attempt: 1, crashes: 0 });
  expect(await shop.settled(late)).toMatchObject({ status: 'FAILURE', crashes: 0, error: { code: 'job.time_limit' } });
  expect(worker.lines.filter(({ msg }) => /block.* by (Late|one of)/.test(msg))).toEqual([]);
});

it('kills the process for a native call when all that is at work is beyond its runTimeout', async () => {
  await using first = await shop.readyWorker(['--concurrency', '2']);
  const job = await NativeLate.enqueue();
  await shop.happened(job, 'began');
  expect(await first.end()).toEqual({ code: null, signal: 'SIGKILL' });
  expect(first.lines.at(-1)).toMatchObject({ level: 50, jobType: 'NativeLate', jobId: job.id });
  expect(first.lines.at(-1)!.msg).not.toContain('blocks the event loop');
  await using _second = await shop.readyWorker();
  expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', crashes: 1 });
});

it('kills the process of an attempt that exceeds its runTimeout in a blocked loop, and counts the crash', async () => {
  await using first = await shop.readyWorker(['--concurrency', '2']);
  const job = await Endless.enqueue();
  await shop.happened(job, 'began');
  expect(await first.end()).toEqual({ code: null, signal: 'SIGKILL' });
  expect(first.lines.at(-1)).toMatchObject({
    level: 50,
    jobType: 'Endless',
    jobId: job.id,
    msg: expect.stringContaining('killed') as string,
  });
  await using _second = await shop.readyWorker();
  expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', crashes: 1 });
});

it('is live and not ready while it waits for PostgreSQL, and once it was told to end', async () => {
  const nowhere = new URL(shop.env['DATABASE_URL']!);
  nowhere.port = '1';
  await using starting = shop.startWorker(PROBES, { DATABASE_URL: nowhere.href });
  await starting.line('waiting for PostgreSQL');
  expect(await ask(starting, '/livez')).toMatchObject({ status: 200 });
  await expect
    .poll(() => ask(starting, '/readyz'), { timeout: PATIENCE_MS })
    .toEqual({ status: 503, text: '{"ready":false,"why":"starting","blockedMs":0}\n' });
  starting.kill('SIGTERM');
  expect(await starting.end()).toMatchObject({ code: 0 });

  await using draining = await shop.readyWorker(PROBES);
  const { file, open } = gate();
  const job = await Nap.enqueue({ file });
  await shop.happened(job, 'began');
  draining.kill('SIGTERM');
  await draining.line('shutting down');
  await expect
    .poll(() => ask(draining, '/readyz'), { timeout: PATIENCE_MS })
    .toEqual({ status: 503, text: '{"ready":false,"why":"shutting down","blockedMs":0}\n' });
  expect(await ask(draining, '/livez')).toMatchObject({ status: 200 });
  open();
  expect(await draining.end()).toMatchObject({ code: 0 });
  expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS' });
});

it('does not start on a probe port that is taken', async () => {
  const other = createServer().listen(0, '0.0.0.0');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  try {
    await using worker = shop.startWorker(['--probe-port', String(port)]);
    expect(await worker.end()).toMatchObject({ code: 2 });
    expect(worker.stderr).toContain(`settings.invalid: the probes cannot be served on port ${port}`);
  } finally {
    other.close();
  }
});

it('an attempt waits in place for a PostgreSQL that is away at its start', async () => {
  let postgres = await startPostgres({ port: await lastingPort() });
  try {
    await using away = await openApplication({ fixture: blocking, databaseUrl: postgres.url });
    await using worker = await away.readyWorker();
    const { file, open } = gate();
    open();
    worker.kill('SIGSTOP');
    const job = await Nap.enqueue({ file }, { em: away.app.orm.em.fork() });
    await until(async () => (await job.refresh()).runId);
    const { dataDir, port } = postgres;
    await postgres.kill9();
    worker.kill('SIGCONT');
    await worker.line('waiting: PostgreSQL does not take the start');
    postgres = await startPostgres({ dataDir, port });
    expect(await away.settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 1, failures: 0, crashes: 0 });
  } finally {
    await postgres.stop();
  }
});
