// The main path: a row that is enqueued, Temporal runs it, the row knows. Real PostgreSQL, real Temporal, one process.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GiveUp, RetryAfter } from '../../src/index.ts';
import { Customer, Flaky, Limited, openShop, SendInvoice, type Shop } from '../support/shop.ts';
import { TEST_ENGINES } from '../support/execution.ts';
import { recordChanges } from '../support/status-changes.ts';
import { until } from '../support/until.ts';

describe.each(TEST_ENGINES)('a worker, with a Temporal %s per job', (engine) => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ engine });
    await shop.work({ queues: ['default', 'billing'] });
  });
  afterAll(() => shop?.[Symbol.asyncDispose]());

  const aborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });

  it('takes a job from NEW over PENDING and STARTED to SUCCESS', async () => {
    using _ = shop.app.handle(SendInvoice, async (task, job) => {
      const stored = await SendInvoice.get(job.id, { em: shop.app.orm.em.fork() });
      job.note = `${stored!.status} ${stored!.attempt} ${stored!.queue} ${task.queue}`;
      return { url: 'x' };
    });
    const job = await SendInvoice.create({ amount: 5 });
    expect(job).toMatchObject({ status: 'NEW', run: 0 });
    await job.enqueue({ queue: 'billing' });
    expect(job).toMatchObject({ status: 'PENDING', run: 1, isBusy: true });
    await job.wait({ timeout: '20 seconds' });
    expect(job).toMatchObject({
      status: 'SUCCESS',
      attempt: 1,
      note: 'STARTED 1 billing billing',
      output: { url: 'x' },
      progress: 1,
      isFinished: true,
      holder: null,
    });
    expect(job.workflowId).toBe(`${shop.app.name}/SendInvoice/${job.id}/1`);
    // The row is SUCCESS slightly before its workflow is.
    await until(async () => (await shop.execution(job).status()) === 'COMPLETED');
    expect(shop.execution(job).id).toBe(job.workflowId);
  });

  it('writes what the handler says while it runs', async () => {
    let release!: () => void;
    const gate = new Promise<void>((resolve) => (release = resolve));
    using _ = shop.app.handle(SendInvoice, async (task) => {
      task.progress({ current: 1, total: 4 }, 'first of four');
      await task.saveCheckpoint({ page: 1 });
      await gate;
    });
    const job = await SendInvoice.enqueue();
    await until(async () => (await job.refresh()).progress === 0.25 && job.checkpoint);
    expect(job).toMatchObject({ status: 'STARTED', progressMessage: 'first of four', checkpoint: { page: 1 } });
    release();
    expect(await job.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'SUCCESS', progress: 1 });
  });

  it('gives the handler an EntityManager of its own and the relations it asked for', async () => {
    using _ = shop.app.handle(
      SendInvoice,
      async (task, job) => {
        const customer = await task.em.findOneOrFail(Customer, { name: 'Ada' });
        job.note = `${(job.customer as unknown as Customer).name} ${customer === (job.customer as unknown as Customer)}`;
      },
      { populate: ['customer'] },
    );
    const em = shop.app.orm.em.fork();
    const customer = em.create(Customer, { name: 'Ada' });
    await em.flush();
    const job = await SendInvoice.enqueue({ customer }, { em });
    expect(await job.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'SUCCESS', note: 'Ada true' });
  });

  it('fails a job whose handler throws, with one attempt by default', async () => {
    using _ = shop.app.handle(SendInvoice, () => {
      throw new RangeError('too far');
    });
    const job = await SendInvoice.enqueue();
    await job.wait({ timeout: '20 seconds' });
    expect(job).toMatchObject({ status: 'FAILURE', errorMessage: 'RangeError: too far', failures: 1, crashes: 0 });
    await until(async () => (await shop.execution(job).status()) === 'FAILED');
  });

  it('tries again by the policy, PENDING with a time in between, until it succeeds', async () => {
    const changes = await recordChanges(shop.db, 'flaky');
    const beganAt: number[] = [];
    using _ = shop.app.handle(Flaky, (task, job) => {
      beganAt.push(Date.now());
      if (task.attempt < 3) throw task.attempt === 1 ? new Error('once') : new RetryAfter('400ms');
      job.note = `attempt ${task.attempt}`;
    });
    const job = await Flaky.enqueue();
    expect(await job.wait({ timeout: '20 seconds' })).toMatchObject({
      status: 'SUCCESS',
      note: 'attempt 3',
      failures: 2,
      errorMessage: null,
    });
    const seen = (await changes()).get(job.id)!;
    expect(seen.map(({ status }) => status)).toEqual(['STARTED', 'PENDING', 'STARTED', 'PENDING', 'STARTED', 'SUCCESS']);
    expect(seen[3]!.nextAttemptAt!.getTime()).toBeGreaterThanOrEqual(beganAt[1]! + 400);
  });

  it('does not try again after GiveUp or when no attempt is left', async () => {
    using _ = shop.app.handle(Flaky, (_task, job) => {
      throw job.note === 'give up' ? new GiveUp('enough') : new Error('again');
    });
    const [given, spent] = await Promise.all([Flaky.enqueue({ note: 'give up' }), Flaky.enqueue({ note: 'go on' })]);
    expect(await given.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'FAILURE', failures: 1 });
    expect(await spent.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'FAILURE', failures: 3 });
  });

  it('ends an attempt at its time limit, also when the handler does not listen', async () => {
    using _ = shop.app.handle(Limited, (task, job) =>
      job.note === 'deaf' ? new Promise((resolve) => setTimeout(resolve, 8_000)) : aborted(task.signal),
    );
    const [listening, deaf] = await Promise.all([Limited.enqueue(), Limited.enqueue({ note: 'deaf' })]);
    expect((await listening.wait({ timeout: '20 seconds' })).error).toMatchObject({ code: 'job.time_limit' });
    await deaf.wait({ timeout: '20 seconds' });
    expect(deaf).toMatchObject({
      status: 'FAILURE',
      error: { code: 'job.time_limit', message: expect.stringContaining('did not stop') as string },
    });
  });

  it('starts a delayed job not before its time', async () => {
    using _ = shop.app.handle(SendInvoice, () => undefined);
    const before = Date.now();
    const job = await SendInvoice.enqueue({}, { delay: '1200ms' });
    expect(job.runAt!.getTime() - before).toBeGreaterThanOrEqual(1_200);
    expect(job.runAt!.getTime() - Date.now()).toBeLessThanOrEqual(1_200);
    await job.wait({ timeout: '20 seconds' });
    expect(job.startedAt!.getTime()).toBeGreaterThanOrEqual(job.runAt!.getTime());
  });

  it('saves own columns in mid-run and refuses it once the row belongs to another attempt', async () => {
    const errors: unknown[] = [];
    using _ = shop.app.handle(SendInvoice, async (task, job) => {
      job.note = 'saved';
      await job.save();
      await shop.db.query('update send_invoice set attempt = attempt + 1 where id = $1', [job.id]);
      job.note = 'lost';
      await job.save().catch((error: unknown) => errors.push(error));
      await shop.db.query('update send_invoice set attempt = attempt - 1 where id = $1', [job.id]);
      await until(() => task.signal.aborted);
      throw new Error('stopped');
    });
    const job = await SendInvoice.enqueue();
    await until(() => errors.length > 0);
    expect(errors).toMatchObject([{ code: 'attempt.overtaken' }]);
    expect(await job.refresh()).toMatchObject({ note: 'saved' });
    await job.revoke();
    await job.wait({ timeout: '20 seconds' });
  });

  it('says on the row and in Temporal why a job of an unknown type waits', async () => {
    const job = await SendInvoice.enqueue();
    await until(async () => (await job.refresh()).errorMessage);
    expect(job).toMatchObject({ status: 'PENDING', error: { code: 'handler.missing' } });
    expect(job.errorMessage).toContain("no handler for 'SendInvoice' on queue 'default'");
    // The row says it slightly before its attempt has ended.
    const said = await until(() => shop.execution(job).lastFailure());
    expect(said).toContain("no handler for 'SendInvoice' on queue 'default'");
    expect(await job.revoke()).toBe('REVOKED');
    await until(async () => (await shop.execution(job).status()) === 'CANCELLED');
  });

  describe('revocation', () => {
    it('aborts the signal of a running handler and ends REVOKED', async () => {
      using _ = shop.app.handle(SendInvoice, (task) => aborted(task.signal));
      const job = await SendInvoice.enqueue();
      await until(async () => (await job.refresh()).status === 'STARTED');
      expect(await job.revoke({ reason: 'not needed', by: 'ada' })).toBe('STARTED');
      await job.wait({ timeout: '20 seconds' });
      expect(job).toMatchObject({ status: 'REVOKED', revokeReason: 'not needed', revokedBy: 'ada', holder: null });
      expect(await job.revoke()).toBe('REVOKED');
      await until(async () => (await shop.execution(job).status()) === 'CANCELLED');
    });

    it('keeps the result of a handler that finishes all the same', async () => {
      using _ = shop.app.handle(SendInvoice, async (task) => {
        await until(() => task.signal.aborted);
        return { url: 'done' };
      });
      const job = await SendInvoice.enqueue();
      await until(async () => (await job.refresh()).status === 'STARTED');
      await job.revoke();
      await job.wait({ timeout: '20 seconds' });
      expect(job).toMatchObject({ status: 'SUCCESS', output: { url: 'done' } });
      expect(job.revokeRequestedAt).toBeInstanceOf(Date);
    });

    it('is REVOKED at once when a job is NEW, PENDING or terminated', async () => {
      let writes = 0;
      using _ = shop.app.handle(SendInvoice, async (task, job) => {
        await until(() => task.signal.aborted, { timeoutMs: 20_000 });
        job.note = 'late';
        writes++;
      });
      const fresh = await SendInvoice.create();
      expect(await fresh.revoke()).toBe('REVOKED');
      const delayed = await SendInvoice.enqueue({}, { delay: '1 hour' });
      expect(await delayed.revoke()).toBe('REVOKED');
      await until(async () => (await shop.execution(delayed).status()) === 'CANCELLED');
      const running = await SendInvoice.enqueue();
      await until(async () => (await running.refresh()).status === 'STARTED');
      expect(await running.revoke({ terminate: true })).toBe('REVOKED');
      await until(() => writes > 0, { timeoutMs: 20_000 });
      expect(await running.refresh()).toMatchObject({ status: 'REVOKED', note: null });
    });

    it('is REVOKED when somebody cancels it in Temporal', async () => {
      using _ = shop.app.handle(SendInvoice, (task) => aborted(task.signal));
      const job = await SendInvoice.enqueue();
      await until(async () => (await job.refresh()).status === 'STARTED');
      await shop.execution(job).cancel();
      expect(await job.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'REVOKED' });
    });

    it('can be taken back by retry(), as the next run of the same row', async () => {
      using _ = shop.app.handle(SendInvoice, (task, job) => void (job.note = `run ${task.run}`));
      const job = await SendInvoice.create();
      await job.revoke({ reason: 'by mistake' });
      await job.retry();
      expect(await job.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'SUCCESS', note: 'run 1', revokeReason: null });
      await expect(job.retry()).rejects.toMatchObject({ code: 'job.move_refused' });
    });
  });
});
