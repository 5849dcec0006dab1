// The engine without Temporal: an application's tests run jobs in their own process.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncJobError, GiveUp, RetryAfter } from '../../src/index.ts';
import { Customer, Flaky, Limited, openShop, SendInvoice, type Shop } from '../support/shop.ts';

describe('the inline engine', () => {
  let shop: Shop;
  beforeAll(async () => void (shop = await openShop({ engine: 'inline' })));
  afterAll(() => shop?.[Symbol.asyncDispose]());

  it('runs the handler before enqueue() returns and saves its own columns with SUCCESS', async () => {
    using _ = shop.app.handle(SendInvoice, (task, job) => {
      task.progress(0.5, 'half');
      job.note = `paid ${job.amount}`;
      return { url: '/invoices/1' };
    });
    const job = await SendInvoice.create({ amount: 12 });
    expect(job.status).toBe('NEW');
    await job.enqueue();
    expect(job).toMatchObject({
      status: 'SUCCESS',
      note: 'paid 12',
      output: { url: '/invoices/1' },
      progress: 1,
      run: 1,
      attempt: 1,
      errorMessage: null,
    });
    expect(job.isSuccessful).toBe(true);
    expect(job.waitTime()).toBeGreaterThanOrEqual(0);
    expect(job.runningTime()).toBeGreaterThanOrEqual(0);
    expect(await SendInvoice.get(job.id)).toMatchObject({ note: 'paid 12' });
  });

  it('leaves the exception on the row as FAILURE', async () => {
    using _ = shop.app.handle(SendInvoice, () => {
      throw new TypeError('no paper');
    });
    const job = await SendInvoice.enqueue({ amount: 1 });
    expect(job).toMatchObject({ status: 'FAILURE', errorMessage: 'TypeError: no paper', failures: 1 });
    expect(job.error).toMatchObject({ type: 'TypeError', message: 'no paper', retryable: false });
    expect(job.error?.stack).toContain('inline-engine.test');
  });

  it('retries by the policy of the class and keeps each failed attempt in the history', async () => {
    let calls = 0;
    using _ = shop.app.handle(Flaky, () => {
      if (++calls < 3) throw new RetryAfter('1 hour');
    });
    const job = await Flaky.enqueue();
    expect(job).toMatchObject({ status: 'SUCCESS', attempt: 3, failures: 2 });
    const { rows } = await shop.db.query('select run, attempt, outcome from async_job_attempt where job_id = $1 order by attempt', [
      job.id,
    ]);
    expect(rows).toEqual([
      { run: 1, attempt: 1, outcome: 'failed' },
      { run: 1, attempt: 2, outcome: 'failed' },
    ]);
  });

  it('does not try again after GiveUp', async () => {
    using _ = shop.app.handle(Flaky, () => {
      throw new GiveUp('never');
    });
    expect(await Flaky.enqueue()).toMatchObject({ status: 'FAILURE', failures: 1, errorMessage: 'GiveUp: never' });
  });

  it('refuses a checkpoint that the row cannot take as it refuses a column', async () => {
    using _ = shop.app.handle(SendInvoice, async (task) => {
      await task.saveCheckpoint({ page: 'a\u0000b' } as never);
    });
    const job = await SendInvoice.enqueue();
    expect(job).toMatchObject({ status: 'FAILURE', error: { code: 'job.value_invalid' } });
  });

  it('ends an attempt at its time limit', async () => {
    using _ = shop.app.handle(
      Limited,
      (task) => new Promise((_, reject) => task.signal.addEventListener('abort', () => reject(task.signal.reason as Error))),
    );
    const job = await Limited.enqueue();
    expect(job.status).toBe('FAILURE');
    expect(job.error).toMatchObject({ code: 'job.time_limit' });
  });

  it('refuses a job that nobody in this process can run', async () => {
    const job = await SendInvoice.create();
    await expect(job.enqueue()).rejects.toMatchObject({ code: 'handler.missing' });
    expect(await SendInvoice.get(job.id)).toMatchObject({ status: 'NEW' });
  });

  it('runs a job of a transaction after its commit, and one of a rolled-back transaction never', async () => {
    const ran: number[] = [];
    using _ = shop.app.handle(SendInvoice, (_task, job) => void ran.push(job.amount));
    await shop.app.orm.em.fork().transactional(async (em) => {
      await SendInvoice.enqueue({ amount: 1 }, { em });
      expect(ran).toEqual([]);
    });
    expect(ran).toEqual([1]);
    await expect(
      shop.app.orm.em.fork().transactional(async (em) => {
        await SendInvoice.enqueue({ amount: 2 }, { em });
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect(ran).toEqual([1]);
  });

  it('runs a job of a transaction outside of it, although that is what surrounds the commit', async () => {
    using _ = shop.app.handle(SendInvoice, async (task, job) => {
      expect(task.em.isInTransaction()).toBe(false);
      await task.em.transactional(async (em) => void em.create(Customer, { name: job.id }));
      job.note = `${await task.em.count(Customer, { name: job.id })} customer`;
    });
    let job!: SendInvoice;
    await shop.app.orm.em.fork().transactional(async () => void (job = await SendInvoice.enqueue()));
    expect(await job.refresh()).toMatchObject({ status: 'SUCCESS', note: '1 customer', errorMessage: null });
  });

  it.each([
    [
      'a circular object',
      () =>
        Object.assign(
          {},
          { self: null as unknown },
          (() => {
            const o: Record<string, unknown> = {};
            o['self'] = o;
            return o;
          })(),
        ),
    ],
    ['a bigint', () => 12n],
    ['a function', () => () => 1],
    ['something huge', () => ({ url: 'x'.repeat(5_000_000) })],
  ])('fails a job whose handler returns %s', async (_what, output) => {
    using _ = shop.app.handle(SendInvoice, () => output() as never);
    const job = await SendInvoice.enqueue();
    expect(job.status).toBe('FAILURE');
    expect(job.error?.code).toBe('handler.output_invalid');
  });

  it('fails a job whose handler leaves a value that its column does not take', async () => {
    using _ = shop.app.handle(SendInvoice, (_task, job) => void (job.short = 'much too long'));
    const job = await SendInvoice.enqueue();
    expect(job.status).toBe('FAILURE');
    expect(job.error?.code).toBe('handler.value_invalid');
    expect(job.short).toBeNull();
  });

  it('needs no worker', async () => {
    await expect(shop.app.worker()).rejects.toBeInstanceOf(AsyncJobError);
  });
});
