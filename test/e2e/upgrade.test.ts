// An upgrade with jobs in flight (docs/how-to/upgrade.md): workers of an old and of a new version, each a process of its
// own from a build of its own, on the same queue and database. The new version's workflow has a change behind patched().
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AsyncJob } from 'asyncjob';
import { until } from '../support/until.ts';
import { Step } from './fixtures/app/jobs.ts';
import { openApplication, type TestApplication } from './support/application.ts';
import { PATIENCE_MS, type Child } from './support/cli.ts';
import { doctor } from './support/doctor.ts';
import { installVersion, type LibraryVersion } from './support/library-version.ts';

/** Two attempts, with time between them to replace a worker; with STEP_FAILS the handler of a Step throws. */
const APPLICATION = {
  'asyncjob.config.ts': (text: string) =>
    text.replace('orm: ormConfig', "orm: ormConfig, defaults: { retry: { maximumAttempts: 2, initialInterval: '10 seconds', jitter: 0 } }"),
  'handlers.ts': (text: string) =>
    text.replace('Step.handler(async (task, job) => {', "$&\n  if (process.env['STEP_FAILS']) throw new Error('the old version cannot');"),
};
/** Their registry rows outlast a machine that stands still for some seconds. */
const LASTING = { ASYNCJOB_WORKER_TTL: '15 seconds' };
const PATCHED = fileURLToPath(new URL('../contract/fixtures/timer-added-patched.ts', import.meta.url));

describe('an upgrade with jobs in flight', () => {
  let shop: TestApplication;
  let before: LibraryVersion;
  let after: LibraryVersion;
  beforeAll(async () => {
    [shop, before, after] = await Promise.all([
      openApplication(),
      installVersion({ version: '0.0.9', application: APPLICATION }),
      installVersion({ version: '9.0.0', application: APPLICATION, workflow: PATCHED }),
    ]);
  });
  afterAll(async () => {
    await shop?.[Symbol.asyncDispose]();
    await before?.[Symbol.asyncDispose]();
    await after?.[Symbol.asyncDispose]();
  });

  async function work(version: LibraryVersion, env: Record<string, string> = {}): Promise<Child> {
    const worker = version.start(['worker', '--drain-timeout', '100ms', '-c', '20'], { ...shop.env, ASYNCJOB_LOG_LEVEL: 'debug', ...env });
    await worker.line('ready');
    return worker;
  }

  const handleOf = (job: AsyncJob) => shop.app.temporal.workflow.getHandle(`${shop.app.name}/Step/${job.id}/1`);

  async function eventsOf(job: AsyncJob) {
    return (await handleOf(job).fetchHistory()).events ?? [];
  }

  /** The processes whose workers took the workflow tasks, in order. */
  async function workflowPids(job: AsyncJob): Promise<number[]> {
    const events = await eventsOf(job);
    return events.flatMap(({ workflowTaskStartedEventAttributes: started }) =>
      started ? [Number(started.identity!.split(':').at(-2))] : [],
    );
  }

  async function brokenTasks(job: AsyncJob): Promise<string[]> {
    const events = await eventsOf(job);
    return events.flatMap(({ workflowTaskFailedEventAttributes: failed }) => (failed ? [failed.failure?.message ?? ''] : []));
  }

  it('goes on with a job whose worker was replaced while it ran', async () => {
    const job = await Step.enqueue();
    await using old = await work(before);
    await shop.happened(job, 'began');
    await using fresh = await work(after);
    old.kill('SIGTERM');
    await old.end();
    await shop.release(job);
    expect(await shop.settled(job)).toMatchObject({
      status: 'SUCCESS',
      failures: 0,
      crashes: 0,
      note: expect.stringContaining(`done by ${fresh.pid}`) as string,
    });
    await handleOf(job).result();
    expect(await workflowPids(job)).toEqual([old.pid, fresh.pid]);
    expect(await brokenTasks(job)).toEqual([]);
    expect(await shop.history(job)).toEqual(['handed_back']);
  });

  it('goes on with a job between two attempts', async () => {
    const job = await Step.enqueue({ released: true });
    await using old = await work(before, { STEP_FAILS: '1' });
    await until(async () => (await job.refresh()).failures === 1, { timeoutMs: PATIENCE_MS });
    old.kill('SIGKILL'); // it may be in any state
    await old.end();
    await using fresh = await work(after);
    expect(await shop.settled(job)).toMatchObject({
      status: 'SUCCESS',
      attempt: 2,
      failures: 1,
      note: expect.stringContaining(`${fresh.pid} in attempt 2`) as string,
    });
    await handleOf(job).result();
    expect(await brokenTasks(job)).toEqual([]);
  });

  it('lets both versions work side by side, and doctor says so', async () => {
    await using old = await work(before, LASTING);
    await using fresh = await work(after, LASTING);
    // More than one of them has slots for.
    const jobs = await Promise.all(Array.from({ length: 30 }, () => Step.enqueue()));
    await Promise.all(jobs.map((job) => shop.happened(job, 'began')));
    // Once the rows of workers before them have expired.
    const { code } = await until(
      async () => {
        const report = await doctor(shop.env);
        const [versions] = report.of('workers.versions');
        return versions?.level === 'warning' && versions.found.startsWith('workers run asyncjob 0.0.9 (1), 9.0.0 (1); ') ? report : null;
      },
      { timeoutMs: PATIENCE_MS },
    );
    expect(code).toBe(0);
    await shop.release(...jobs);
    for (const job of jobs) expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', attempt: 1 });
    const pids = new Set((await shop.happenings()).filter(({ jobId }) => jobs.some(({ id }) => id === jobId)).map(({ pid }) => pid));
    expect(pids).toEqual(new Set([old.pid, fresh.pid]));
  });

  it('lets old workers go on when the migrations ran first', async () => {
    await using old = await work(before);
    const job = await Step.enqueue();
    await shop.happened(job, 'began');
    await shop.db.query(
      `alter table step add column of_the_next_version text, add column counted int not null default 0;
       alter table async_job_worker add column of_the_next_version text; alter table async_job_attempt add column of_the_next_version text`,
    );
    const later = await Step.enqueue();
    await shop.release(job, later);
    for (const each of [job, later])
      expect(await shop.settled(each)).toMatchObject({
        status: 'SUCCESS',
        attempt: 1,
        note: expect.stringContaining(`done by ${old.pid}`) as string,
      });
  });

  it('keeps a workflow that the new version has changed for new workers, after a rollback too: it waits, and fails nobody’s job', async () => {
    const job = await Step.enqueue({ released: true });
    const fresh = await work(after);
    await until(async () => (await eventsOf(job)).some(({ timerStartedEventAttributes }) => timerStartedEventAttributes), {
      timeoutMs: PATIENCE_MS,
    });
    fresh.kill('SIGKILL');
    await fresh.end();
    await using old = await work(before);
    const broken = await until(
      async () => {
        const messages = await brokenTasks(job);
        return messages.length > 0 ? messages : null;
      },
      { timeoutMs: PATIENCE_MS },
    );
    expect(broken[0]).toContain('Nondeterminism');
    expect(await job.refresh()).toMatchObject({ status: 'PENDING', failures: 0, crashes: 0 });
    old.kill('SIGTERM');
    await old.end();
    await using _again = await work(after);
    expect(await shop.settled(job)).toMatchObject({ status: 'SUCCESS', failures: 0, crashes: 0 });
  });
});
