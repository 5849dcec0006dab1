// Enqueue is safe: the row is committed with the caller's transaction or not at all, and what was committed is
// dispatched, by whoever enqueued or by a worker's relay.
import type { EntityManager } from '@mikro-orm/postgresql';
import { RequestContext } from '@mikro-orm/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Customer, openShop, SendInvoice, type Shop } from '../support/shop.ts';
import { until } from '../support/until.ts';

describe('enqueue', () => {
  let shop: Shop;
  beforeAll(async () => void (shop = await openShop()));
  afterAll(() => shop?.[Symbol.asyncDispose]());

  const rowOf = async (id: string) =>
    (await shop.db.query('select status, run, run_id, note from send_invoice where id = $1', [id])).rows[0] as
      | { status: string; run: number; run_id: string | null; note: string | null }
      | undefined;
  const isDispatched = async (id: string) => typeof (await rowOf(id))?.run_id === 'string';
  const existsInTemporal = (id: string) =>
    shop.app.temporal.workflow
      .getHandle(`${shop.app.name}/SendInvoice/${id}/1`)
      .describe()
      .then(
        () => true,
        () => false,
      );

  it('of many tells the caller of a value that cannot be written, at whichever place', async () => {
    const cyclic: { pages: number[]; itself?: object } = { pages: [] };
    cyclic.itself = cyclic;
    const rows = Array.from({ length: 2_500 }, (_, i) => (i === 1_200 ? { data: cyclic } : {}));
    await expect(SendInvoice.enqueueMany(rows)).rejects.toThrow(/circular/);
    await expect(SendInvoice.enqueueMany([{ data: cyclic }])).rejects.toThrow(/circular/);
    expect(await SendInvoice.count()).toBe(0);
  });

  it('resolves when the row is committed and Temporal has acknowledged the start', async () => {
    const job = await SendInvoice.create();
    await job.enqueue();
    expect(await rowOf(job.id)).toMatchObject({ status: 'PENDING', run: 1 });
    expect(await existsInTemporal(job.id)).toBe(true);
    // Nobody waits for the note of it.
    await until(() => isDispatched(job.id));
  });

  it('takes the job’s unsaved own columns along, and nothing else of the caller’s', async () => {
    const em = shop.app.orm.em.fork();
    const customer = em.create(Customer, { name: 'before' });
    await em.flush();
    const job = await SendInvoice.create({ note: 'old' }, { em });
    job.note = 'new';
    customer.name = 'after';
    await job.enqueue();
    expect(await rowOf(job.id)).toMatchObject({ status: 'PENDING', note: 'new' });
    expect((await shop.db.query('select name from customer where id = $1', [customer.id])).rows).toEqual([{ name: 'before' }]);
    await em.flush();
    expect((await shop.db.query('select name from customer where id = $1', [customer.id])).rows).toEqual([{ name: 'after' }]);
    expect(await rowOf(job.id)).toMatchObject({ status: 'PENDING' });
  });

  it('refuses a job that is not NEW, and says what to do', async () => {
    const job = await SendInvoice.enqueue();
    await expect(job.enqueue()).rejects.toMatchObject({
      code: 'job.move_refused',
      message: expect.stringContaining('it is PENDING') as string,
    });
  });

  describe('at the same time as others', () => {
    it('shares an INSERT with them, and knows its own row all the same', async () => {
      const em = shop.app.orm.em.fork();
      const customer = em.create(Customer, { name: 'Ada' });
      await em.flush();
      const jobs = await Promise.all([
        SendInvoice.enqueue({ note: 'a', amount: 1 }),
        SendInvoice.enqueue({ note: 'b', amount: 2 }, { priority: 1 }),
        SendInvoice.enqueue({ note: 'c' }, { queue: 'elsewhere' }),
        SendInvoice.create({ note: 'd' }),
        SendInvoice.enqueue({ note: 'e', customer }, { em }),
      ]);
      const { rows } = await shop.db.query<{ note: string; inserts: number }>(
        `select note, count(*) over (partition by created_at)::int as inserts from send_invoice where id = any($1::uuid[]) order by note`,
        [jobs.map(({ id }) => id)],
      );
      expect(rows.map(({ note }) => note)).toEqual(['a', 'b', 'c', 'd', 'e']);
      for (const job of jobs) {
        const fresh = (await SendInvoice.get(job.id, { em: shop.app.orm.em.fork() }))!;
        const { createdAt, amount, queue, enqueuedAt, run } = fresh;
        expect(job).toMatchObject({ createdAt, amount, queue, run });
        expect([job.priority ?? null, job.enqueuedAt ?? null]).toEqual([fresh.priority, enqueuedAt]);
      }
      expect(em.getUnitOfWork().getById(SendInvoice as never, jobs[4]!.id as never)).toBe(jobs[4]);
    });

    it('has an error of its own when its values do not fit, and the others have none', async () => {
      const taken = await SendInvoice.create();
      const results = await Promise.allSettled([
        SendInvoice.enqueue({ short: 'fits' }),
        SendInvoice.enqueue({ short: 'much longer than eight' }),
        SendInvoice.enqueue({ short: 'fits too' }),
        SendInvoice.create({ id: taken.id, short: 'twice' }),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
      expect((results[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'job.value_invalid' });
      expect((results[3] as PromiseRejectedResult).reason).toMatchObject({ name: 'UniqueConstraintViolationException' });
      const written = results.flatMap((result) => (result.status === 'fulfilled' ? [rowOf(result.value.id)] : []));
      expect((await Promise.all(written)).map((row) => row?.status)).toEqual(['PENDING', 'PENDING']);
    });

    it('and its transaction’s are its own', async () => {
      const inside = shop.app.orm.em.fork().transactional(async (em) => {
        const jobs = await Promise.all([
          SendInvoice.enqueue({ note: 'in' }, { em: em as EntityManager }),
          SendInvoice.enqueue({ note: 'in' }, { em: em as EntityManager }),
        ]);
        await SendInvoice.enqueue({ note: 'out' }, { em: shop.app.orm.em.fork() });
        expect(await Promise.all(jobs.map(({ id }) => rowOf(id)))).toEqual([undefined, undefined]);
        throw new Error('rolled back');
      });
      await expect(inside).rejects.toThrow('rolled back');
      expect(await SendInvoice.count({ note: 'in' })).toBe(0);
      expect(await SendInvoice.count({ note: 'out' })).toBe(1);
    });
  });

  describe('in a transaction', () => {
    // Each way to be in a transaction: what it is called with, and how it ends.
    const ways: [string, (work: (em?: EntityManager) => Promise<void>) => Promise<unknown>][] = [
      ['em.transactional of a fork', (work) => shop.app.orm.em.fork().transactional((em) => work(em as EntityManager))],
      ['the ambient em.transactional', (work) => RequestContext.create(shop.app.orm.em, () => shop.app.orm.em.transactional(() => work()))],
      [
        'begin and commit',
        async (work) => {
          const em = shop.app.orm.em.fork();
          await em.begin();
          try {
            await work(em as EntityManager);
            await em.commit();
          } catch (error) {
            await em.rollback();
            throw error;
          }
        },
      ],
      [
        'a nested transaction (savepoint)',
        (work) => shop.app.orm.em.fork().transactional((outer) => outer.transactional((inner) => work(inner as EntityManager))),
      ],
    ];

    it.each(ways)('dispatches after the commit: %s', async (_name, transaction) => {
      let id = '';
      await transaction(async (em) => {
        const job = await SendInvoice.create({}, em ? { em } : {});
        await job.enqueue();
        id = job.id;
        expect(await rowOf(id)).toBeUndefined();
        expect(await existsInTemporal(id)).toBe(false);
      });
      await until(() => isDispatched(id));
      expect(await existsInTemporal(id)).toBe(true);
    });

    it.each(ways)('leaves nothing behind after a rollback: %s', async (_name, transaction) => {
      let id = '';
      await expect(
        transaction(async (em) => {
          ({ id } = await SendInvoice.enqueue({}, em ? { em } : {}));
          throw new Error('rolled back');
        }),
      ).rejects.toThrow('rolled back');
      // Something later goes through the same dispatcher: had the first been on its way, it would be there by now.
      await SendInvoice.enqueue();
      expect(await rowOf(id)).toBeUndefined();
      expect(await existsInTemporal(id)).toBe(false);
    });

    it('forgets what a rolled-back savepoint enqueued and keeps what the outer transaction did', async () => {
      let kept = '';
      let lost = '';
      await shop.app.orm.em.fork().transactional(async (outer) => {
        kept = (await SendInvoice.enqueue({}, { em: outer as EntityManager })).id;
        await outer
          .transactional(async (inner) => {
            lost = (await SendInvoice.enqueue({}, { em: inner as EntityManager })).id;
            throw new Error('inner');
          })
          .catch(() => undefined);
      });
      await until(() => isDispatched(kept));
      expect(await rowOf(lost)).toBeUndefined();
      expect(await existsInTemporal(lost)).toBe(false);
    });

    it('forgets what a released savepoint enqueued when the outer transaction rolls back', async () => {
      let lost = '';
      await shop.app.orm.em
        .fork()
        .transactional(async (outer) => {
          await outer.transactional(async (inner) => void (lost = (await SendInvoice.enqueue({}, { em: inner as EntityManager })).id));
          throw new Error('outer');
        })
        .catch(() => undefined);
      await SendInvoice.enqueue();
      expect(await rowOf(lost)).toBeUndefined();
      expect(await existsInTemporal(lost)).toBe(false);
    });

    it('refuses a job whose transaction was rolled back', async () => {
      let job!: SendInvoice;
      await shop.app.orm.em
        .fork()
        .transactional(async (em) => {
          job = await SendInvoice.create({}, { em: em as EntityManager });
          throw new Error('rolled back');
        })
        .catch(() => undefined);
      await expect(job.enqueue()).rejects.toMatchObject({ code: 'job.not_persisted' });
    });

    it('revokes with the transaction, and tells Temporal after its commit', async () => {
      const job = await SendInvoice.enqueue({}, { delay: '1 hour' });
      await shop.app.orm.em.fork().transactional(async (em) => {
        expect(await job.revoke({ em: em as EntityManager })).toBe('REVOKED');
        expect(await rowOf(job.id)).toMatchObject({ status: 'PENDING' });
      });
      expect(await rowOf(job.id)).toMatchObject({ status: 'REVOKED' });
    });
  });

  describe('many at once', () => {
    it('inserts in thousands, in one transaction, and dispatches them all', async () => {
      const ids = await SendInvoice.enqueueMany(Array.from({ length: 120 }, (_, amount) => ({ amount })));
      expect(new Set(ids).size).toBe(120);
      expect(await SendInvoice.count({ id: { $in: ids }, status: 'PENDING', run: 1 })).toBe(120);
      await until(async () => (await SendInvoice.count({ id: { $in: ids }, runId: null })) === 0);
    });

    it('inserts none when one does not fit', async () => {
      const before = await SendInvoice.count();
      await expect(SendInvoice.enqueueMany([{ amount: 1 }, { short: 'much too long' }])).rejects.toMatchObject({
        code: 'job.value_invalid',
      });
      expect(await SendInvoice.count()).toBe(before);
    });
  });

  it.each([
    [{ dealy: '1s' }, "did you mean 'delay'"],
    [{ delay: 'soon' }, 'delay'],
    [{ runAt: new Date('x') }, 'runAt'],
    [{ priority: 9 }, 'priority'],
    [{ delay: '1s', runAt: new Date() }, 'exclude each other'],
  ])('refuses the options %o', async (options, message) => {
    await expect(SendInvoice.enqueue({}, options as never)).rejects.toMatchObject({
      code: 'settings.invalid',
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('what nobody dispatched', () => {
  it('is durable while Temporal is away, and a worker’s relay dispatches it', async () => {
    await using away = await openShop({ temporal: { address: '127.0.0.1:9' }, name: 'relay' });
    const [first, second] = [await away.app.of(SendInvoice).enqueue(), await away.app.of(SendInvoice).enqueue()];
    expect(first).toMatchObject({ status: 'PENDING' });
    expect(first.runId).toBeUndefined();
    await using shop = await openShop({ databaseUrl: away.databaseUrl, name: 'relay' });
    using _ = shop.app.handle(SendInvoice, (_task, job) => void (job.note = 'ran'));
    await shop.work();
    for (const job of [first, second])
      expect(await shop.app.run(() => job.wait({ timeout: '30 seconds' }))).toMatchObject({ status: 'SUCCESS', note: 'ran', run: 1 });
  });

  it('includes a row that any SQL client inserts as PENDING', async () => {
    await using shop = await openShop();
    using _ = shop.app.handle(SendInvoice, (_task, job) => void (job.note = `ran ${job.amount}`));
    await shop.work();
    const { rows } = await shop.db.query<{ id: string }>("insert into send_invoice (amount, status) values (7, 'PENDING') returning id");
    const job = (await shop.app.of(SendInvoice).get(rows[0]!.id))!;
    expect(await job.wait({ timeout: '30 seconds' })).toMatchObject({
      status: 'SUCCESS',
      note: 'ran 7',
      run: 0,
      workflowId: `${shop.app.name}/SendInvoice/${job.id}/0`,
    });
  });

  it('is dispatched once although several relays sweep', { timeout: 180_000 }, async () => {
    await using shop = await openShop();
    let runs = 0;
    using _ = shop.app.handle(SendInvoice, () => void runs++);
    await Promise.all([shop.work(), shop.work(), shop.work()]);
    await shop.db.query("insert into send_invoice (status) select 'PENDING' from generate_series(1, 60)");
    // A server that stalled may deny its namespace: what it refused so is tried again after a minute.
    await until(async () => (await shop.app.of(SendInvoice).count({ status: 'SUCCESS' })) === 60, { timeoutMs: 90_000 });
    expect(runs).toBe(60);
  });
});
