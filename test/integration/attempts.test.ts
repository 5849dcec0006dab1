// What attempts survive: writes that are refused, handlers that hang, revocations that Temporal never hears of, and
// executions that ended before.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asyncJob, p, type JobOptions } from '../../src/index.ts';
import { Limited, openShop, SendInvoice, type Shop } from '../support/shop.ts';
import { until } from '../support/until.ts';

class Patient extends asyncJob('Patient', { note: p.text().nullable(), double: p.integer().persist(false).nullable() }) {
  static override options: JobOptions = { runTimeout: '60 days', heartbeatTimeout: '3 seconds' };
}

describe('an attempt', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ classes: [SendInvoice, Limited, Patient] });
    await shop.work();
  });
  afterAll(() => shop?.[Symbol.asyncDispose]());

  it('whose write a trigger refuses is a FAILURE, and the handler is not run again', async () => {
    await shop.db.query(`create function refuse() returns trigger language plpgsql as $$ begin
      if new.note = 'refused' then raise exception 'the books are closed'; end if; return new; end $$`);
    await shop.db.query('create trigger refuse before update on send_invoice for each row execute function refuse()');
    let runs = 0;
    using _ = shop.app.handle(SendInvoice, (_task, job) => {
      runs++;
      job.note = 'refused';
    });
    const job = await SendInvoice.enqueue();
    await job.wait({ timeout: '20 seconds' });
    expect(job).toMatchObject({ status: 'FAILURE', note: null, error: { code: 'handler.value_invalid' } });
    expect(job.errorMessage).toContain('the books are closed');
    expect(runs).toBe(1);
  });

  it('that hangs past its time limit keeps the row’s holder, so that a retry waits until it has really ended', async () => {
    let release!: () => void;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let atOnce = 0;
    let most = 0;
    using _ = shop.app.handle(Limited, async (_task, job) => {
      most = Math.max(most, ++atOnce);
      if (job.run === 1) await gate;
      atOnce--;
    });
    const job = await Limited.enqueue();
    await job.wait({ timeout: '20 seconds' });
    expect(job).toMatchObject({ status: 'FAILURE', error: { code: 'job.time_limit' } });
    expect(job.holder).not.toBeNull();
    await job.retry();
    // Its attempt comes and waits: Temporal says that it has been started.
    const retried = shop.app.temporal.workflow.getHandle(`${shop.app.name}/Limited/${job.id}/2`);
    await until(async () => (await retried.describe()).raw.pendingActivities?.some(({ lastStartedTime }) => lastStartedTime));
    expect(await job.refresh()).toMatchObject({ status: 'PENDING', run: 2 });
    release();
    expect(await job.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'SUCCESS', run: 2 });
    expect(most).toBe(1);
  });

  it('is not stopped by a time limit that is longer than timers can be', async () => {
    using _ = shop.app.handle(Patient, async (task) => {
      await until(() => true);
      if (task.signal.aborted) throw new Error('aborted');
    });
    expect(await (await Patient.enqueue()).wait({ timeout: '20 seconds' })).toMatchObject({ status: 'SUCCESS' });
  });

  it('hears of a revocation that Temporal never heard of', async () => {
    using _ = shop.app.handle(
      SendInvoice,
      (task) => new Promise((_, reject) => task.signal.addEventListener('abort', () => reject(task.signal.reason as Error))),
    );
    const job = await SendInvoice.enqueue();
    await until(async () => (await job.refresh()).status === 'STARTED');
    await shop.db.query(`update send_invoice set revoke_requested_at = now(), revoke_reason = 'by hand' where id = $1`, [job.id]);
    expect(await job.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'REVOKED', revokeReason: 'by hand' });
  });

  it('keeps what the handler said last before it failed', async () => {
    using _ = shop.app.handle(SendInvoice, (task) => {
      task.progress(0.25, 'a quarter');
      throw new Error('stop');
    });
    expect(await (await SendInvoice.enqueue()).wait({ timeout: '20 seconds' })).toMatchObject({
      status: 'FAILURE',
      progress: 0.25,
      progressMessage: 'a quarter',
    });
  });

  it('of a run that was executed before, although the row does not know, becomes the next run', async () => {
    using _ = shop.app.handle(SendInvoice, () => undefined);
    const job = await SendInvoice.enqueue();
    await job.wait({ timeout: '20 seconds' });
    const before = shop.app.temporal.workflow.getHandle(job.workflowId!);
    await until(async () => (await before.describe()).status.name === 'COMPLETED');
    // As after a restore of the database: the row of the same id and run is PENDING again.
    await shop.db.query('delete from send_invoice where id = $1', [job.id]);
    const again = await SendInvoice.enqueue({ id: job.id });
    expect(await again.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'SUCCESS', run: 2 });
  });

  it('that people terminated before the row could name its execution is REVOKED, and does not run again', async () => {
    using _ = shop.app.handle(SendInvoice, () => undefined);
    const job = await SendInvoice.enqueue({}, { queue: 'nobody' });
    await until(async () => (await job.refresh()).runId);
    await shop.app.temporal.workflow.getHandle(job.workflowId!).terminate('not any more');
    // As after the death of who enqueued it: the relay is the next one who dispatches it.
    await shop.db.query('update send_invoice set run_id = null, workflow_id = null, enqueued_at = null where id = $1', [job.id]);
    expect(await job.wait({ timeout: '20 seconds' })).toMatchObject({ status: 'REVOKED', run: 1, revokeReason: 'not any more' });
  });
});

describe('the relay', () => {
  it('leaves a run that cannot be dispatched to itself, says why on its row, and dispatches all others', async () => {
    await using shop = await openShop();
    using _ = shop.app.handle(SendInvoice, () => undefined);
    await shop.db.query(`insert into send_invoice (status, queue) select 'PENDING', repeat('q', 2000) from generate_series(1, 30)`);
    await shop.db.query(`insert into send_invoice (status) select 'PENDING' from generate_series(1, 30)`);
    await shop.work();
    await until(async () => (await shop.app.of(SendInvoice).count({ status: 'SUCCESS' })) === 30, { timeoutMs: 30_000 });
    const [stuck] = await shop.app.of(SendInvoice).find({ status: 'PENDING' });
    await until(async () => (await stuck!.refresh()).errorMessage);
    expect(stuck!.nextAttemptAt!.getTime()).toBeGreaterThan(Date.now());
  });
});

describe('two copies of an application in one namespace', () => {
  it('do not touch each other’s executions', async () => {
    await using original = await openShop({ name: `original-${crypto.randomUUID().slice(0, 8)}` });
    const job = await original.app.of(SendInvoice).enqueue({}, { delay: '1 hour' });
    await using copy = await openShop({ name: `copy-${crypto.randomUUID().slice(0, 8)}` });
    const twin = await copy.app.of(SendInvoice).enqueue({ id: job.id }, { delay: '1 hour' });
    await twin.revoke({ terminate: true });
    expect((await original.app.temporal.workflow.getHandle(`${original.app.name}/SendInvoice/${job.id}/1`).describe()).status.name).toBe(
      'RUNNING',
    );
  });
});
