// revokeMany and retryMany: what happens to one job by revoke() and retry(), to all that match, a thousand at a time.
import type { EntityManager } from '@mikro-orm/postgresql';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { STATUSES, type EnqueueOptions, type RevokeOptions, type Status } from '../../src/index.ts';
import { openShop, SendInvoice, type Shop } from '../support/shop.ts';
import { until } from '../support/until.ts';

const invoices = (shop: Shop) => shop.app.of(SendInvoice);

/** Rows in any status, as the database knows them: never dispatched, and held by nobody. */
async function rows({ db }: Shop, counts: Partial<Record<Status, number>>, note = 'x'): Promise<void> {
  for (const [status, count] of Object.entries(counts)) {
    await db.query(
      `insert into send_invoice (id, status, run, note, failures, error_message)
       select gen_random_uuid(), $1, case when $1 = 'NEW' then 0 else 1 end, $3, case when $1 = 'FAILURE' then 2 else 0 end,
         case when $1 = 'FAILURE' then 'Error: boom' end from generate_series(1, $2)`,
      [status, count, note],
    );
  }
}

async function counts({ db }: Shop): Promise<Partial<Record<Status, number>>> {
  const found = await db.query<{ status: Status; count: number }>('select status, count(*)::int from send_invoice group by status');
  return Object.fromEntries(found.rows.map(({ status, count }) => [status, count]));
}

const OF_EACH = Object.fromEntries(STATUSES.map((status) => [status, 2])) as Record<Status, number>;

describe('without Temporal', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ temporal: { address: '127.0.0.1:9' } });
    // The first call finds out that Temporal is away; the tests do not wait for it.
    await invoices(shop).enqueue();
  });
  afterAll(() => shop?.[Symbol.asyncDispose]());
  beforeEach(async () => void (await shop.db.query('truncate send_invoice')));
  afterEach(() => vi.restoreAllMocks());

  describe('revokeMany', () => {
    it('revokes NEW and PENDING, asks STARTED to stop, skips what is settled, and returns the ids of the first three', async () => {
      await rows(shop, OF_EACH);
      const open = await invoices(shop).find({ status: { $in: ['NEW', 'PENDING', 'STARTED'] } }, { orderBy: { id: 'asc' } });
      const ids = await invoices(shop).revokeMany({}, { reason: 'closing', by: 'ada' });
      expect(ids).toEqual(open.map(({ id }) => id));
      expect(await counts(shop)).toEqual({ STARTED: 2, SUCCESS: 2, FAILURE: 2, REVOKED: 6 });
      expect(
        await invoices(shop).count({ id: { $in: ids }, revokeReason: 'closing', revokedBy: 'ada', revokeRequestedAt: { $ne: null } }),
      ).toBe(6);
      expect(await invoices(shop).count({ revokeReason: { $ne: null } })).toBe(6);
    });

    it('is idempotent: the second time only those are met that still run', async () => {
      await rows(shop, OF_EACH);
      await invoices(shop).revokeMany({}, { reason: 'first' });
      const again = await invoices(shop).revokeMany({}, { reason: 'second' });
      expect(again).toHaveLength(2);
      expect(await invoices(shop).count({ revokeReason: 'second', status: 'STARTED' })).toBe(2);
      expect(await invoices(shop).count({ revokeReason: 'first', status: 'REVOKED' })).toBe(4);
    });

    it('with terminate does not wait for those that run', async () => {
      await rows(shop, OF_EACH);
      expect(await invoices(shop).revokeMany({}, { terminate: true })).toHaveLength(6);
      expect(await counts(shop)).toEqual({ SUCCESS: 2, FAILURE: 2, REVOKED: 8 });
    });

    it('revokes those that match, and no others', async () => {
      await rows(shop, { PENDING: 3 }, 'match');
      await rows(shop, { PENDING: 3 }, 'other');
      const ids = await invoices(shop).revokeMany({ $or: [{ note: 'match' }, { amount: { $gt: 7 } }] });
      expect(ids).toHaveLength(3);
      expect(await invoices(shop).count({ note: 'other', status: 'PENDING' })).toBe(3);
      expect(await invoices(shop).revokeMany({ note: 'nobody' })).toEqual([]);
      expect(await invoices(shop).revokeMany({ customer: { name: 'nobody' } })).toEqual([]);
      expect(await invoices(shop).revokeMany({ customer: null, amount: { $gt: 7 } })).toEqual([]);
      expect(await invoices(shop).revokeMany({ note: 'other', status: 'NEW' })).toEqual([]);
    });

    it('takes 5,000 rows by a statement per thousand, and does not wait for a Temporal that is away', async () => {
      await rows(shop, { PENDING: 4_500, NEW: 500, SUCCESS: 100 });
      const statements = vi.spyOn(shop.app.orm.em.getConnection(), 'execute');
      const ids = await invoices(shop).revokeMany({});
      const updates = statements.mock.calls.filter(([text]) => /\bupdate\b.* set /s.test(text as string));
      expect([ids.length, new Set(ids).size, updates.length]).toEqual([5_000, 5_000, 5]);
      expect(ids).toEqual(ids.toSorted());
      expect(await counts(shop)).toEqual({ REVOKED: 5_000, SUCCESS: 100 });
    });

    it('twice at the same time does not deadlock, and each job is revoked once', async () => {
      await rows(shop, { PENDING: 3_000 });
      const both = await Promise.all([
        invoices(shop).revokeMany({}),
        shop.app.orm.em.fork().transactional((em) => invoices(shop).revokeMany({}, { em: em as EntityManager })),
        invoices(shop).revokeMany({ note: 'x' }),
      ]);
      expect(both.flat()).toHaveLength(3_000);
      expect(new Set(both.flat()).size).toBe(3_000);
    });

    it('writes none of the caller’s changes, and leaves its instances as they are', async () => {
      const em = shop.app.orm.em.fork();
      const job = await invoices(shop).create({ note: 'old' }, { em });
      job.note = 'new';
      await em.transactional((inner) => invoices(shop).revokeMany({ note: 'old' }, { em: inner as EntityManager }), {
        flushMode: 'commit',
      });
      expect(job.status).toBe('NEW');
      expect(await job.refresh()).toMatchObject({ status: 'REVOKED' });
    });
  });

  describe('retryMany', () => {
    it('makes FAILURE and REVOKED PENDING in their next run, skips the others, and returns the ids of the moved', async () => {
      await rows(shop, OF_EACH);
      const ended = await invoices(shop).find({ status: { $in: ['FAILURE', 'REVOKED'] } }, { orderBy: { id: 'asc' } });
      const ids = await invoices(shop).retryMany({});
      expect(ids).toEqual(ended.map(({ id }) => id));
      expect(await counts(shop)).toEqual({ NEW: 2, PENDING: 6, STARTED: 2, SUCCESS: 2 });
      expect(await invoices(shop).count({ id: { $in: ids }, run: 2, failures: 0, errorMessage: null, runId: null })).toBe(4);
      expect(await invoices(shop).retryMany({})).toEqual([]);
    });

    it('takes the options of retry()', async () => {
      await rows(shop, { FAILURE: 2 });
      await invoices(shop).retryMany({}, { queue: 'slow', priority: 5, delay: '1 hour' });
      const [job] = await invoices(shop).find({ queue: 'slow', priority: 5 });
      expect(Math.abs(job!.runAt!.getTime() - Date.now() - 3_600_000)).toBeLessThan(60_000);
      await invoices(shop).revokeMany({});
      const runAt = new Date('2040-01-01T00:00:00Z');
      await invoices(shop).retryMany({}, { runAt });
      expect(await invoices(shop).count({ queue: 'slow', runAt, run: 3 })).toBe(2);
      await invoices(shop).revokeMany({});
      await invoices(shop).retryMany({});
      expect(await invoices(shop).count({ queue: 'slow', priority: 5, runAt: null })).toBe(2);
    });

    it('takes 5,000 rows', async () => {
      await rows(shop, { FAILURE: 5_000 });
      expect(new Set(await invoices(shop).retryMany({ status: 'FAILURE' })).size).toBe(5_000);
      expect(await counts(shop)).toEqual({ PENDING: 5_000 });
    });
  });

  describe('a job that moves on before its turn', () => {
    /** `call`, while another transaction changes the row of the only job; that commits once `call` waits for it. */
    async function meanwhile<R>(change: string, call: () => Promise<R>): Promise<R> {
      const client = await shop.db.connect();
      try {
        await client.query('begin');
        await client.query(`update send_invoice set ${change}`);
        const called = call();
        await until(async () => {
          const { rows: waiting } = await shop.db.query(
            "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
          );
          return waiting.length > 0;
        });
        await client.query('commit');
        return await called;
      } finally {
        client.release();
      }
    }

    it('is left alone when the condition does not hold any more', async () => {
      await rows(shop, { PENDING: 1 });
      expect(await meanwhile("status = 'STARTED'", () => invoices(shop).revokeMany({ status: 'PENDING' }))).toEqual([]);
      expect(await invoices(shop).count({ status: 'STARTED', revokeRequestedAt: null })).toBe(1);
      expect(await meanwhile("note = 'keep'", () => invoices(shop).revokeMany({ note: 'x' }))).toEqual([]);
      expect(await meanwhile("status = 'FAILURE'", () => invoices(shop).revokeMany({}))).toEqual([]);
      expect(await meanwhile("status = 'REVOKED'", () => invoices(shop).retryMany({ status: 'FAILURE' }))).toEqual([]);
      expect(await counts(shop)).toEqual({ REVOKED: 1 });
    });

    it('is met when the condition still holds', async () => {
      await rows(shop, { PENDING: 1 });
      expect(await meanwhile("status = 'STARTED'", () => invoices(shop).revokeMany({ note: 'x' }))).toHaveLength(1);
      expect(await invoices(shop).count({ status: 'STARTED', revokeRequestedAt: { $ne: null } })).toBe(1);
    });

    it('in the caller’s transaction, too', async () => {
      await rows(shop, { PENDING: 1 });
      const inTransaction = () =>
        shop.app.orm.em.fork().transactional((em) => invoices(shop).revokeMany({ status: 'PENDING' }, { em: em as EntityManager }));
      expect(await meanwhile("status = 'STARTED'", inTransaction)).toEqual([]);
      expect(await invoices(shop).count({ status: 'STARTED', revokeRequestedAt: null })).toBe(1);
    });
  });

  describe('in a transaction', () => {
    it.each(['revokeMany', 'retryMany'] as const)('%s moves with its commit, and after a rollback nothing', async (method) => {
      await rows(shop, { NEW: 1_200, FAILURE: 1_200 });
      const before = await counts(shop);
      const transaction = (end: () => void) =>
        shop.app.orm.em.fork().transactional(async (em) => {
          expect(await invoices(shop)[method]({}, { em: em as EntityManager })).toHaveLength(1_200);
          expect(await counts(shop)).toEqual(before);
          end();
        });
      const rolledBack = () => {
        throw new Error('rolled back');
      };
      await expect(transaction(rolledBack)).rejects.toThrow('rolled back');
      expect(await counts(shop)).toEqual(before);
      await transaction(() => undefined);
      expect(await counts(shop)).toEqual(method === 'revokeMany' ? { REVOKED: 1_200, FAILURE: 1_200 } : { NEW: 1_200, PENDING: 1_200 });
    });

    it('sees the jobs of that transaction', async () => {
      await shop.app.orm.em.fork().transactional(async (em) => {
        const within = { em: em as EntityManager };
        const job = await invoices(shop).create({}, within);
        expect(await invoices(shop).revokeMany({}, within)).toEqual([job.id]);
        expect(await invoices(shop).retryMany({}, within)).toEqual([job.id]);
      });
      expect(await counts(shop)).toEqual({ PENDING: 1 });
    });
  });

  describe('refuse', () => {
    const both = ['revokeMany', 'retryMany'] as const;
    const conditions: [unknown, string][] = [
      [undefined, '{} means all jobs'],
      [null, '{} means all jobs'],
      ['01932f3e-0000-7000-8000-000000000000', '{} means all jobs'],
      [[{ note: 'x' }], '{} means all jobs'],
      [{ note: undefined }, 'where.note is undefined'],
      [{ $or: [{ note: 'x' }, { amount: { $gt: undefined } }] }, 'where.$or.1.amount.$gt is undefined'],
    ];
    it.each(both.flatMap((method) => conditions.map(([where, message]) => [method, where, message] as const)))(
      '%s of %o',
      async (method, where, message) => {
        await rows(shop, OF_EACH);
        const call = async () => invoices(shop)[method](where as never);
        await expect(call()).rejects.toMatchObject({
          code: 'settings.invalid',
          message: expect.stringContaining(message) as string,
        });
        expect(await counts(shop)).toEqual(OF_EACH);
      },
    );

    it.each<[(typeof both)[number], object, string]>([
      ['revokeMany', { reson: 'x' }, "did you mean 'reason'"],
      ['revokeMany', { queue: 'q' }, 'queue'],
      ['retryMany', { delay: 'soon' }, 'delay'],
      ['retryMany', { delay: '1s', runAt: new Date() }, 'exclude each other'],
      ['retryMany', { reason: 'x' }, 'reason'],
    ])('%s with %o', async (method, options, message) => {
      const call = async () => invoices(shop)[method]({}, options as EnqueueOptions & RevokeOptions);
      await expect(call()).rejects.toMatchObject({ code: 'settings.invalid', message: expect.stringContaining(message) as string });
    });

    it('a condition on what is no column', async () => {
      await expect(invoices(shop).revokeMany({ amuont: 1 } as never)).rejects.toThrow('amuont');
    });
  });
});

describe('with a worker', () => {
  it('revokeMany stops those that run, and retryMany runs all again', async () => {
    await using shop = await openShop({ settings: { workerTtlMs: 15_000 } });
    await shop.work({ concurrency: 5 });
    let isFirst = true;
    const running = new Set<string>();
    using _ = shop.app.handle(SendInvoice, (task, job) => {
      running.add(task.id);
      job.note = `run ${task.run}`;
      if (!isFirst) return;
      return new Promise<never>((_, reject) => task.signal.addEventListener('abort', () => reject(task.signal.reason as Error)));
    });
    const ids = await invoices(shop).enqueueMany(Array.from({ length: 20 }, () => ({})));
    await until(() => running.size === 5);
    expect(new Set(await invoices(shop).revokeMany({}, { reason: 'closing' }))).toEqual(new Set(ids));
    await until(async () => (await counts(shop)).REVOKED === 20);
    const executions = async () =>
      Promise.all(ids.map((id) => shop.app.temporal.workflow.getHandle(`${shop.app.name}/SendInvoice/${id}/1`).describe()));
    await until(async () => (await executions()).every(({ status }) => status.name === 'CANCELLED'));
    expect(running.size).toBe(5);
    isFirst = false;
    expect(new Set(await invoices(shop).retryMany({ revokeReason: 'closing' }))).toEqual(new Set(ids));
    await until(async () => (await counts(shop)).SUCCESS === 20, { timeoutMs: 30_000 });
    expect(await invoices(shop).count({ note: 'run 2' })).toBe(20);
  });
});

it('retryMany runs jobs here with the inline engine, and revokeMany needs nothing', async () => {
  await using shop = await openShop({ engine: 'inline' });
  await rows(shop, { NEW: 3, FAILURE: 2 });
  expect(await invoices(shop).revokeMany({ status: 'NEW' })).toHaveLength(3);
  await expect(invoices(shop).retryMany({})).rejects.toMatchObject({ code: 'handler.missing' });
  using _ = shop.app.handle(SendInvoice, (task, job) => void (job.note = `run ${task.run}`));
  await SendInvoice.retryMany({ status: 'FAILURE' });
  expect(await counts(shop)).toEqual({ REVOKED: 3, SUCCESS: 2 });
  await shop.app.orm.em.fork().transactional(async (em) => {
    await SendInvoice.retryMany({}, { em: em as EntityManager });
    expect(await SendInvoice.count({ status: 'PENDING' }, { em: em as EntityManager })).toBe(3);
  });
  expect(await counts(shop)).toEqual({ SUCCESS: 5 });
  expect(await SendInvoice.count({ note: 'run 2' })).toBe(2);
});
