// Rows and executions that do not agree, on real servers: what one worker's reconciler makes of them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Flaky, JOB_CLASSES, openShop, SendInvoice, type Shop } from '../support/shop.ts';
import { asyncJob, type AsyncJob, type JobOptions } from '../../src/index.ts';
import { uniqueQueue } from '../support/servers.ts';
import { TEST_ENGINES } from '../support/execution.ts';
import { until } from '../support/until.ts';

class Careful extends asyncJob('Careful', {}) {
  static override options: JobOptions = { whenLost: 'report', heartbeatTimeout: '2 seconds' };
}

class Brief extends asyncJob('Brief', {}) {
  static override options: JobOptions = { totalTimeout: '1 second' };
}

class Patient extends asyncJob('Patient', {}) {
  static override options: JobOptions = { totalTimeout: '1 hour', retry: { maximumAttempts: 5, initialInterval: '50ms' } };
}

describe.each(TEST_ENGINES)('the reconciler, with a Temporal %s per job', (engine) => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ engine, classes: [...JOB_CLASSES, Careful, Brief, Patient], settings: { reconcileIntervalMs: 200 } });
    await shop.work();
  });
  afterAll(() => shop?.[Symbol.asyncDispose]());

  const execution = (job: AsyncJob, run?: number) => shop.execution(job, run);
  const remove = async (job: AsyncJob) => {
    await execution(job).remove();
    await until(async () => (await execution(job).status()) === 'NOT_FOUND');
  };
  /** Resolves when the reconciler has looked at everything so often, from now on: each pass begins by renewing its lease. */
  const looks = async (times: number) => {
    const lease = async () =>
      (await shop.db.query<{ until: string }>('select max(reconciles_until)::text as until from async_job_worker')).rows[0]!.until;
    for (let i = 0, before = await lease(); i <= times; i++)
      before = await until(async () => ((await lease()) === before ? null : lease()));
  };
  const history = async (job: AsyncJob) =>
    (await shop.db.query<{ outcome: string }>('select outcome from async_job_attempt where job_id = $1 order by id', [job.id])).rows.map(
      ({ outcome }) => outcome,
    );
  /** Waits on a queue that nobody serves. */
  const waiting = () => SendInvoice.enqueue({}, { queue: uniqueQueue() });

  it('a waiting job whose execution is terminated in Temporal is REVOKED, and says by whom and why', async () => {
    const job = await waiting();
    await execution(job).terminate('not any more');
    await job.wait({ timeout: '20 seconds' });
    expect(job).toMatchObject({ status: 'REVOKED', run: 1, revokeReason: 'not any more' });
    expect(job.revokedBy).toMatch(engine === 'workflow' ? /@/ : /^temporal$/);
    expect(await history(job)).toEqual([]);
  });

  it('a running job whose execution is terminated in Temporal is REVOKED, and its handler is told', async () => {
    let reason: unknown;
    using _ = shop.app.handle(
      SendInvoice,
      (task) => new Promise((resolve) => task.signal.addEventListener('abort', () => resolve((reason = task.signal.reason)))),
    );
    const job = await SendInvoice.enqueue();
    await until(async () => (await job.refresh()).status === 'STARTED');
    await execution(job).terminate();
    await job.wait({ timeout: '20 seconds' });
    expect(job).toMatchObject({ status: 'REVOKED', run: 1 });
    await until(() => reason);
    expect(await history(job)).toEqual(['revoked']);
  });

  it('a waiting job whose execution was deleted in Temporal gets its next run', async () => {
    const job = await waiting();
    await remove(job);
    await until(async () => (await job.refresh()).run === 2 && job.runId);
    expect(job).toMatchObject({ status: 'PENDING', attempt: 0, failures: 0, crashes: 0 });
    expect(await execution(job).status()).toBe('RUNNING');
    await job.revoke();
  });

  it('a job at work whose execution was deleted runs on, and is not run twice', async () => {
    let begun = 0;
    let release!: () => void;
    const gate = new Promise<void>((resolve) => (release = resolve));
    using _ = shop.app.handle(Flaky, async () => {
      begun++;
      await gate;
    });
    const job = await Flaky.enqueue();
    await until(() => begun === 1);
    await remove(job);
    await looks(2);
    expect(await job.refresh()).toMatchObject({ status: 'STARTED', run: 1 });
    release();
    await job.wait({ timeout: '20 seconds' });
    expect(job).toMatchObject({ status: 'SUCCESS', run: 1, attempt: 1 });
    expect(begun).toBe(1);
  });

  it('a STARTED row that nobody runs and Temporal does not know is run again, and remembers that', async () => {
    using _ = shop.app.handle(SendInvoice, async () => ({ url: 'again' }));
    const { rows } = await shop.db.query<{ id: string }>(
      `insert into send_invoice (status, queue, run, attempt, run_id, holder, holder_beat, enqueued_at, started_at)
       values ('STARTED', 'default', 1, 1, 'gone', 'gone', 1, now() - interval '1 minute', now() - interval '1 minute') returning id`,
    );
    const job = (await SendInvoice.get(rows[0]!.id))!;
    await job.wait({ timeout: '20 seconds' });
    expect(job).toMatchObject({ status: 'SUCCESS', output: { url: 'again' } });
    expect(job.run).toBeGreaterThan(1);
    expect(await history(job)).toContain('lost');
  });

  it("with whenLost: 'report' a run that may have begun is left to people", async () => {
    const job = await Careful.enqueue({}, { queue: uniqueQueue() });
    await execution(job).terminate();
    await job.wait({ timeout: '20 seconds' });
    await shop.db.query(
      `update careful set status = 'STARTED', attempt = 1, holder = 'gone', holder_beat = 1, started_at = now() - interval '1 minute', run_id = 'gone', run = 7,
        ended_at = null where id = $1`,
      [job.id],
    );
    await looks(2);
    expect(await job.refresh()).toMatchObject({ status: 'STARTED', run: 7 });
    expect(await job.revoke({ terminate: true })).toBe('REVOKED');
  });

  it('a row that is older than the end of its execution gets its next run', async () => {
    let runs = 0;
    using _ = shop.app.handle(SendInvoice, async () => {
      runs++;
      return { url: 'x' };
    });
    const job = await SendInvoice.enqueue();
    await job.wait({ timeout: '20 seconds' });
    await until(async () => (await execution(job, 1).status()) === 'COMPLETED');
    // As after PostgreSQL was restored from a backup.
    await shop.db.query(
      `update send_invoice set status = 'PENDING', attempt = 0, output = null, ended_at = null, enqueued_at = now() - interval '1 minute', started_at = null where id = $1`,
      [job.id],
    );
    await until(async () => (await job.refresh()).run === 2 && job.isFinished);
    expect(job).toMatchObject({ status: 'SUCCESS' });
    expect(runs).toBe(2);
  });

  it('a job to be revoked whose request to cancel was lost is asked again', async () => {
    let reason: unknown;
    using _ = shop.app.handle(
      SendInvoice,
      (task) =>
        new Promise((_resolve, reject) => task.signal.addEventListener('abort', () => reject((reason = task.signal.reason) as Error))),
    );
    const job = await SendInvoice.enqueue();
    await until(async () => (await job.refresh()).status === 'STARTED');
    // The intent alone: whoever wrote it died before it told anybody.
    await shop.db.query('update send_invoice set revoke_requested_at = now() where id = $1', [job.id]);
    await job.wait({ timeout: '20 seconds' });
    expect(job.status).toBe('REVOKED');
    expect(reason).toBeDefined();
    await until(async () => (await execution(job).status()) === 'CANCELLED');
  });

  it.each([Flaky, Patient])(
    'a job that somebody cancels in Temporal, and whose attempt fails before it hears of it, is REVOKED',
    async (Class) => {
      const begun: string[] = [];
      using _ = shop.app.handle<AsyncJob>(Class, async (_task, job) => {
        begun.push(job.id);
        await execution(job).cancel();
        await until(() => execution(job).cancelRequested());
        throw new Error('again');
      });
      let job: AsyncJob;
      do {
        job = await Class.enqueue();
        await job.wait({ timeout: '20 seconds' });
        expect(job).toMatchObject({ status: 'REVOKED', run: 1 });
        expect(begun.filter((id) => id === job.id)).toHaveLength(1);
      } while (job.failures === 0); // it took so long that a heartbeat told it
    },
  );

  it('a job that does not end within its totalTimeout is FAILURE', async () => {
    // Nobody has its handler: it waits.
    const job = await Brief.enqueue();
    await until(async () => (await job.refresh()).isFinished);
    expect(job).toMatchObject({ status: 'FAILURE', run: 1, error: { code: 'job.time_limit' } });
    expect(job.errorMessage).toContain('did not end within its totalTimeout of 1000 ms');
  });

  it.each([
    ['does not compare, or not any more,', { expires: '1 hour', leads: '-1 second' }],
    ['died while it compared', { expires: '-1 second', leads: '1 hour' }],
  ])('an older worker that %s keeps nobody from it', async (_, { expires, leads }) => {
    await shop.db.query(
      `insert into async_job_worker (id, application, host, pid, version, queues, concurrency, started_at, expires_at, reconciles, reconciles_until)
       select 'older', application, 'h', 1, '0', '[]', 1, now() - interval '1 day', now() + $1::interval, reconciles, now() + $2::interval
       from async_job_worker where reconciles is not null limit 1`,
      [expires, leads],
    );
    const job = await waiting();
    await execution(job).terminate();
    await job.wait({ timeout: '20 seconds' });
    expect(job.status).toBe('REVOKED');
    await shop.db.query(`delete from async_job_worker where id = 'older'`);
  });

  it('one worker compares, whoever asks', async () => {
    const { rows } = await shop.db.query<{ leads: number }>(
      'select count(*)::int as leads from async_job_worker where reconciles_until > now()',
    );
    expect(rows).toEqual([{ leads: 1 }]);
  });
});

describe.each(TEST_ENGINES)('a single look, with a Temporal %s per job', (engine) => {
  it('ends an execution whose job was settled long ago', async () => {
    await using shop = await openShop({ engine });
    const job = await SendInvoice.enqueue({}, { queue: uniqueQueue() });
    await shop.db.query(`update send_invoice set status = 'REVOKED', ended_at = now() - interval '2 minutes' where id = $1`, [job.id]);
    // Temporal's lists lag behind.
    const differences = await until(async () => {
      const found = await shop.app.reconcile({ repair: true });
      return found.differences.length > 0 && found.differences;
    });
    expect(differences).toMatchObject([{ kind: 'terminate', run: { id: job.id, run: 1 }, repaired: true }]);
    expect(await shop.execution(job).status()).toBe('TERMINATED');
    expect(await job.refresh()).toMatchObject({ status: 'REVOKED', run: 1 });
  });

  it('without repair tells every difference and changes nothing', async () => {
    await using shop = await openShop({ engine });
    const queue = uniqueQueue();
    const [terminated, fine] = [await SendInvoice.enqueue({}, { queue }), await SendInvoice.enqueue({}, { queue })];
    await until(async () => (await terminated.refresh()).runId && (await fine.refresh()).runId);
    await shop.execution(terminated).terminate('why not');
    await shop.db.query(`update send_invoice set enqueued_at = now() - interval '1 minute'`);
    const differences = await until(async () => {
      const { differences: found } = await shop.app.reconcile();
      return found.length > 0 && found;
    });
    expect(differences).toMatchObject([{ kind: 'revoke', run: { jobType: 'SendInvoice', id: terminated.id, run: 1 }, repaired: false }]);
    expect([(await terminated.refresh()).status, (await fine.refresh()).status]).toEqual(['PENDING', 'PENDING']);
    expect((await shop.app.reconcile({ repair: true })).differences).toMatchObject([{ kind: 'revoke', repaired: true }]);
    expect((await terminated.refresh()).status).toBe('REVOKED');
    expect(await shop.app.reconcile({ repair: true })).toEqual({ differences: [], looked: 1, isComplete: true });
    await fine.revoke();
  });
});
