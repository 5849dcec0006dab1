// Job classes on a real PostgreSQL: their tables, what create() and a flush write, which application a call belongs to,
// and what is refused.
import {
  DeadlockException,
  defineEntity,
  EntityCaseNamingStrategy,
  EntitySchema,
  IsolationLevel,
  raw,
  Type,
  UniqueConstraintViolationException,
  type EntityManager,
  type Opt,
} from '@mikro-orm/core';
import { defineConfig as ormConfig, MikroORM, type EntityManager as PostgresEntityManager, type Options } from '@mikro-orm/postgresql';
import pg from 'pg';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../src/app/settings.ts';
import { STATUSES } from '../../src/domain/lifecycle.ts';
import { applicationClosed, openApplications } from '../../src/entity/application.ts';
import { registeredHandlers } from '../../src/entity/handler-registry.ts';
import {
  AsyncJob,
  asyncJob,
  AsyncJobAttempt,
  AsyncJobs,
  AsyncJobView,
  AsyncJobWorker,
  jobs,
  p,
  type Config,
  type JobClass,
  type JobHandler,
  type JobOptions,
  type Task,
} from '../../src/index.ts';
import { jobTableOf, libraryTables } from '../../src/mirror/job-table.ts';
import { undispatchedQuery } from '../../src/mirror/queries.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { Customer, Flaky, openShop, type Shop } from '../support/shop.ts';

class Invoice extends asyncJob(
  'Invoice',
  {
    amount: p.integer().default(0),
    note: p.text().nullable(),
    short: p.string().length(8).nullable(),
    paidOn: p.datetime().nullable(),
    reference: p.text().nullable().unique(),
    customer: () => p.manyToOne(Customer).nullable(),
  },
  { uniques: [{ properties: ['note', 'reference'] }] },
) {
  static override defaultQueue = 'billing';
  get label(): Opt<string> {
    return `invoice of ${this.amount}`;
  }
}
class Receipt extends asyncJob('Receipt', { amount: p.integer() }) {}
const AddressSchema = defineEntity({
  name: 'Address',
  embeddable: true,
  properties: { street: p.string().nullable(), since: p.datetime().nullable() },
});
class Address extends AddressSchema.class {}
AddressSchema.setClass(Address);
class Typed extends asyncJob('Typed', {
  at: p.datetime().nullable(),
  wall: p.datetime().columnType('timestamp(3)').nullable(),
  day: p.date().nullable(),
  file: p.blob().nullable(),
  tags: p.array().nullable(),
  data: p.json().nullable(),
  big: p.bigint().nullable(),
  price: p.decimal().nullable(),
  address: () => p.embedded(Address).nullable(),
  asObject: () => p.embedded(Address).object().nullable(),
  several: () => p.embedded(Address).array().nullable(),
}) {}
class Stranger extends asyncJob('Stranger', { note: p.text().nullable() }) {}
const CLASSES: JobClass[] = [Invoice, Receipt, Flaky];
const NOWHERE = '0192d3c8-7a3e-7c3a-9d5e-0a1b2c3d4e5f';

interface Opened extends AsyncDisposable {
  app: AsyncJobs;
  db: pg.Pool;
}

/** An application with entities and a MikroORM of its own, in a database of its own. */
async function openWith(
  entities: Options['entities'],
  { orm = {}, tables = true, ...config }: { orm?: Partial<Options>; tables?: boolean } & Partial<Omit<Config, 'orm'>> = {},
): Promise<Opened> {
  const database = await freshDatabase();
  const before = new Set(openApplications());
  try {
    const app = await AsyncJobs.connect(
      { engine: 'inline', ...config, orm: ormConfig({ clientUrl: database.url, entities: entities!, ...orm }) },
      { log: pino({ level: process.env['TEST_LOG'] ?? 'silent' }), settings: readSettings({}, { engine: config.engine ?? 'inline' }) },
    );
    if (tables) await app.orm.schema.create();
    const db = new pg.Pool({ connectionString: database.url, max: 2 });
    return {
      app,
      db,
      async [Symbol.asyncDispose]() {
        await app.close();
        await db.end();
        await database.drop();
      },
    };
  } catch (error) {
    for (const application of openApplications()) if (!before.has(application)) applicationClosed(application);
    await database.drop();
    throw error;
  }
}

const openInline = (config: Parameters<typeof openShop>[0] = {}) => openShop({ engine: 'inline', classes: CLASSES, ...config });

describe('a job class', () => {
  let shop: Shop;
  beforeAll(async () => void (shop = await openInline()));
  afterAll(() => shop?.[Symbol.asyncDispose]());

  const fork = () => shop.app.orm.em.fork() as PostgresEntityManager;
  const rowOf = async (id: string) => (await shop.db.query('select * from invoice where id = $1', [id])).rows[0] as Record<string, unknown>;

  describe('its table', () => {
    // Name, type, and what an INSERT that does not name it gets; null = it may be null.
    const COLUMNS: [string, string, string | null][] = [
      ['id', 'uuid', 'gen_random_uuid()'],
      ['status', 'text', "'NEW'::text"],
      ['queue', 'text', "'billing'::text"],
      ['priority', 'smallint', null],
      ['run_at', 'timestamp(3) with time zone', null],
      ['expires_at', 'timestamp(3) with time zone', null],
      ['unique_key', 'text', null],
      ['run', 'integer', '0'],
      ['attempt', 'integer', '0'],
      ['failures', 'integer', '0'],
      ['crashes', 'integer', '0'],
      ['workflow_id', 'text', null],
      ['run_id', 'text', null],
      ['worker_id', 'text', null],
      ['holder', 'text', null],
      ['holder_beat', 'integer', null],
      ['created_at', 'timestamp(3) with time zone', 'now()'],
      ['updated_at', 'timestamp(3) with time zone', 'now()'],
      ['enqueued_at', 'timestamp(3) with time zone', null],
      ['started_at', 'timestamp(3) with time zone', null],
      ['ended_at', 'timestamp(3) with time zone', null],
      ['next_attempt_at', 'timestamp(3) with time zone', null],
      ['progress', 'double precision', null],
      ['progress_message', 'text', null],
      ['checkpoint', 'jsonb', null],
      ['output', 'jsonb', null],
      ['error_message', 'text', null],
      ['error', 'jsonb', null],
      ['revoke_requested_at', 'timestamp(3) with time zone', null],
      ['revoke_reason', 'text', null],
      ['revoked_by', 'text', null],
    ];
    const OWN = ['amount', 'note', 'short', 'paid_on', 'reference', 'customer_id'];

    it('has the columns of every job with their types and defaults, and its own', async () => {
      const { rows } = await shop.db.query<{ name: string; type: string; required: boolean; default: string | null }>(
        `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required,
           pg_get_expr(d.adbin, d.adrelid) as default
         from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         where a.attrelid = 'invoice'::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`,
      );
      const base = rows.filter(({ name }) => !OWN.includes(name));
      expect(new Set(base.map((column) => [column.name, column.type, column.default]))).toEqual(new Set(COLUMNS));
      expect(base.filter(({ required, default: value }) => required !== (value !== null))).toEqual([]);
      expect(rows.map(({ name }) => name).sort()).toEqual([...COLUMNS.map(([name]) => name), ...OWN].sort());
    });

    it('takes an INSERT of nothing but a status, in the queue of its class', async () => {
      const { rows } = await shop.db.query<{ id: string }>(`insert into invoice (status) values ('PENDING') returning id`);
      const job = await Invoice.get(rows[0]!.id);
      expect(job).toMatchObject({
        status: 'PENDING',
        queue: 'billing',
        run: 0,
        attempt: 0,
        failures: 0,
        crashes: 0,
        runId: null,
        amount: 0,
        createdAt: expect.any(Date) as Date,
        updatedAt: expect.any(Date) as Date,
      });
    });

    it('takes an INSERT of nothing at all as a NEW job, which may be enqueued', async () => {
      using _ = shop.app.handle(Invoice, () => {});
      const { rows } = await shop.db.query<{ id: string }>('insert into invoice default values returning id');
      const job = (await Invoice.get(rows[0]!.id))!;
      expect(job.status).toBe('NEW');
      expect(await job.enqueue()).toMatchObject({ status: 'SUCCESS', queue: 'billing', run: 1 });
    });

    it('needs no migration after it was created', async () => {
      expect(await shop.app.orm.schema.getUpdateSchemaSQL()).toBe('');
    });

    it('has partial indexes for the relay and the reconciler, and indexes for lists', async () => {
      const { rows } = await shop.db.query<{ indexdef: string }>(
        `select indexdef from pg_indexes where tablename = 'invoice' and schemaname = 'public'`,
      );
      const definitions = rows.map(({ indexdef }) => indexdef.replace(/^.* USING btree /, '')).sort();
      expect(definitions).toEqual(
        [
          '(created_at)',
          `(enqueued_at) WHERE ((status = 'PENDING'::text) AND (run_id IS NULL))`,
          '(id)',
          '(note, reference)',
          '(reference)',
          '(status, created_at)',
          `(id) WHERE (status = ANY (ARRAY['PENDING'::text, 'STARTED'::text]))`,
        ].sort(),
      );
    });

    it('is found by the sweep of the relay through its index', async () => {
      const metadata = shop.app.orm.getMetadata();
      const query = undispatchedQuery(jobTableOf('Invoice', metadata.get(Invoice)), { attempts: '', workers: '' });
      const client = await shop.db.connect();
      try {
        await client.query('begin');
        await client.query('set local enable_seqscan = off');
        const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain ${query}`, [0, 10]);
        expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('invoice_enqueued_at_index');
        await client.query('rollback');
      } finally {
        client.release();
      }
    });

    it.each(STATUSES)('takes the status %s', async (status) => {
      await expect(shop.db.query('insert into invoice (status) values ($1)', [status])).resolves.toBeDefined();
    });

    it.each([['DONE'], ['new'], ['']])('refuses the status %o, which the lifecycle does not know', async (status) => {
      await expect(shop.db.query('insert into invoice (status) values ($1)', [status])).rejects.toMatchObject({ code: '23514' });
    });

    it('is one of all jobs in AsyncJobView', async () => {
      using _ = shop.app.handle(Receipt, () => {
        throw new Error('no paper');
      });
      const invoice = await Invoice.create({ amount: 1 });
      const receipt = await Receipt.enqueue({ amount: 2 });
      const seen = await fork().find(AsyncJobView, { id: { $in: [invoice.id, receipt.id] } }, { orderBy: { jobType: 'asc' } });
      expect(seen).toMatchObject([
        { jobType: 'Invoice', id: invoice.id, status: 'NEW', queue: 'billing', createdAt: invoice.createdAt },
        { jobType: 'Receipt', id: receipt.id, status: 'FAILURE', queue: 'default', run: 1, errorMessage: 'Error: no paper' },
      ]);
      expect(await fork().count(AsyncJobView, { jobType: 'Receipt', status: 'FAILURE' })).toBe(1);
    });
  });

  describe('create', () => {
    it('inserts a NEW row with a time-ordered id, which is then managed', async () => {
      const em = fork();
      const job = await Invoice.create({ amount: 3, note: 'a' }, { em });
      expect(job).toBeInstanceOf(Invoice);
      expect(job).toMatchObject({ status: 'NEW', queue: 'billing', run: 0, amount: 3, note: 'a', label: 'invoice of 3' });
      expect(job.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
      expect(em.getUnitOfWork().getById(Invoice, job.id as never)).toBe(job);
      expect(await rowOf(job.id)).toMatchObject({ status: 'NEW', queue: 'billing', amount: 3, note: 'a', created_at: job.createdAt });
    });

    it('fills what is not given from the defaults of the database', async () => {
      const job = await Invoice.create();
      expect(job).toMatchObject({ amount: 0, run: 0, attempt: 0, isBusy: false, isFinished: false });
      expect(job.createdAt).toEqual(job.updatedAt);
    });

    it('takes an id of the caller’s', async () => {
      const id = crypto.randomUUID();
      expect((await Invoice.create({ id, amount: 1 })).id).toBe(id);
      await expect(Invoice.create({ id })).rejects.toBeInstanceOf(UniqueConstraintViolationException);
    });

    it('takes an id in capitals as PostgreSQL does: in small letters', async () => {
      using _ = shop.app.handle(Invoice, () => {});
      const em = fork();
      const id = crypto.randomUUID();
      const job = await Invoice.create({ id: id.toUpperCase() }, { em });
      expect(job.id).toBe(id);
      expect(await job.enqueue()).toMatchObject({ id, status: 'SUCCESS' });
      expect(await Invoice.get(id.toUpperCase(), { em })).toBe(job);
      const many = [crypto.randomUUID(), crypto.randomUUID()];
      expect(await Invoice.enqueueMany(many.map((each) => ({ id: each.toUpperCase() })))).toEqual(many);
    });

    it.each([['nonsense'], [''], [12], [null], ['{0192d3c8-7a3e-7c3a-9d5e-0a1b2c3d4e5f}'], ['0192d3c87a3e7c3a9d5e0a1b2c3d4e5f']])(
      'refuses the id %o, which is none, before it is sent',
      async (id) => {
        using _ = shop.app.handle(Invoice, () => {});
        const refusal = { code: 'job.value_invalid', message: expect.stringMatching(/'id'.*no UUID/) as string };
        await expect(Invoice.create({ id } as never)).rejects.toMatchObject(refusal);
        await expect(Invoice.enqueueMany([{ id } as never])).rejects.toMatchObject(refusal);
      },
    );

    it('leaves a unique violation of an own column as MikroORM’s own error', async () => {
      await Invoice.create({ reference: 'R-1' });
      await expect(Invoice.create({ reference: 'R-1' })).rejects.toBeInstanceOf(UniqueConstraintViolationException);
    });

    it('takes a related entity, a reference to one, or its key', async () => {
      const em = fork();
      const customer = em.create(Customer, { name: 'Ada' });
      await em.flush();
      for (const given of [customer, em.getReference(Customer, customer.id), customer.id]) {
        const job = await Invoice.create({ customer: given }, { em });
        expect((await rowOf(job.id))['customer_id']).toBe(customer.id);
      }
    });

    it('writes nothing of the caller’s other changes', async () => {
      const em = fork();
      const customer = em.create(Customer, { name: 'before' });
      await em.flush();
      const other = await Invoice.create({ note: 'before' }, { em });
      customer.name = 'after';
      other.note = 'after';
      em.create(Customer, { name: 'unsaved' });
      await Invoice.create({ customer }, { em });
      expect((await shop.db.query('select name from customer where id = $1', [customer.id])).rows).toEqual([{ name: 'before' }]);
      expect((await shop.db.query(`select 1 from customer where name = 'unsaved'`)).rows).toEqual([]);
      expect(await rowOf(other.id)).toMatchObject({ note: 'before' });
    });

    it.each<[string, object]>([
      ['a text for a number', { amount: 'many' }],
      ['a number that is too large', { amount: 3_000_000_000 }],
      ['a text that is too long', { short: 'much too long' }],
      ['an id that is no uuid', { id: 'nonsense' }],
    ])('refuses %s', async (_what, data) => {
      await expect(Invoice.create(data as never)).rejects.toMatchObject({
        code: 'job.value_invalid',
        message: expect.stringContaining("'Invoice'") as string,
      });
    });

    it.each<[string, object]>([
      ['a NUL byte', { note: 'a\u0000b' }],
      ['no date', { paidOn: 'yesterday' }],
    ])('refuses %s', async (_what, data) => {
      await expect(Invoice.create(data as never)).rejects.toMatchObject({ code: 'job.value_invalid' });
    });

    it.each([[{}], [{ amount: null }], [{ amount: undefined }]])('refuses a row without a column that is needed: %o', async (data) => {
      await expect(Receipt.create(data as never)).rejects.toMatchObject({ code: 'job.value_invalid' });
    });

    it.each([['status'], ['queue'], ['run'], ['createdAt'], ['output'], ['checkpoint'], ['holder']])(
      'refuses the lifecycle column %s as input, and says so',
      async (column) => {
        await expect(Invoice.create({ [column]: 'x' } as never)).rejects.toMatchObject({
          code: 'job.value_invalid',
          message: expect.stringContaining(`'${column}'`) as string,
        });
      },
    );

    it('takes no getter as input', async () => {
      const job = await Invoice.create({ amount: 1, label: 'x', isBusy: true } as never);
      expect(job).toMatchObject({ label: 'invoice of 1', isBusy: false });
    });

    it('refuses a related entity that was never flushed, by the name of the property', async () => {
      const em = fork();
      await expect(Invoice.create({ customer: em.create(Customer, { name: 'unsaved' }) }, { em })).rejects.toMatchObject({
        code: 'relation.unsaved',
        message: expect.stringContaining("'customer'") as string,
      });
    });

    it('refuses a key of a related entity that does not exist', async () => {
      await expect(Invoice.create({ customer: 999_999 })).rejects.toMatchObject({ code: 'relation.unsaved' });
    });

    it('leaves nothing in the caller’s EntityManager after a refusal', async () => {
      const em = fork();
      await expect(Invoice.create({ short: 'much too long' }, { em })).rejects.toMatchObject({ code: 'job.value_invalid' });
      await expect(Invoice.create({ status: 'SUCCESS' } as never, { em })).rejects.toMatchObject({ code: 'job.value_invalid' });
      await em.flush();
      expect(em.getUnitOfWork().getIdentityMap().values()).toEqual([]);
    });
  });

  describe('enqueue', () => {
    it('refuses a job whose transaction was rolled back', async () => {
      using _ = shop.app.handle(Invoice, () => {});
      const em = fork();
      await em.begin();
      const job = await Invoice.create({}, { em });
      await em.rollback();
      await expect(job.enqueue()).rejects.toMatchObject({ code: 'job.not_persisted' });
      await expect(job.save()).resolves.toBe(job); // nothing to write
      job.note = 'x';
      await expect(job.save()).rejects.toMatchObject({ code: 'job.not_persisted' });
      await expect(job.refresh()).rejects.toMatchObject({ code: 'job.not_persisted' });
      await expect(job.revoke()).rejects.toMatchObject({ code: 'job.not_persisted' });
    });

    it('refuses a job that was enqueued before, and says what it is', async () => {
      using _ = shop.app.handle(Invoice, () => {});
      const job = await Invoice.enqueue();
      await expect(job.enqueue()).rejects.toMatchObject({
        code: 'job.move_refused',
        message: expect.stringContaining('SUCCESS') as string,
      });
    });

    it('refuses a job that is not NEW without taking its unsaved changes for written', async () => {
      using _ = shop.app.handle(Invoice, () => {});
      const em = fork();
      const job = await Invoice.enqueue({}, { em });
      job.note = 'unsaved';
      await expect(job.enqueue()).rejects.toMatchObject({ code: 'job.move_refused' });
      await em.flush();
      expect(await rowOf(job.id)).toMatchObject({ note: 'unsaved' });
    });

    it('writes unsaved own columns along, a unique one included', async () => {
      using _ = shop.app.handle(Invoice, (_task, job) => void (job.reference = `${job.reference}-handled`));
      const job = await Invoice.create({}, { em: fork() });
      const reference = crypto.randomUUID();
      job.reference = reference;
      await job.enqueue();
      expect(await rowOf(job.id)).toMatchObject({ status: 'SUCCESS', reference: `${reference}-handled` });
    });

    it.each<[string, (em: PostgresEntityManager, id: string) => Promise<Invoice>]>([
      [
        'was cleared from its EntityManager',
        async (em, id) => {
          const job = await em.findOneOrFail(Invoice, { id });
          em.clear();
          return job;
        },
      ],
      [
        'another instance has replaced in its EntityManager',
        async (em, id) => {
          const job = await em.findOneOrFail(Invoice, { id });
          em.clear();
          await em.findOneOrFail(Invoice, { id });
          return job;
        },
      ],
      ['was read without an identity map', async (em, id) => em.findOneOrFail(Invoice, { id }, { disableIdentityMap: true })],
    ])('shows what became of a job that %s', async (_how, read) => {
      using _ = shop.app.handle(Invoice, (_task, job) => void (job.note = 'handled'));
      const em = fork();
      const customer = em.create(Customer, { name: 'Ada' });
      await em.flush();
      const job = await read(em, (await Invoice.create({ customer: customer.id })).id);
      await job.enqueue();
      expect(job).toMatchObject({ status: 'SUCCESS', note: 'handled', run: 1, customer: { id: customer.id } });
      job.short = 'later';
      await job.save();
      expect(await rowOf(job.id)).toMatchObject({ status: 'SUCCESS', note: 'handled', short: 'later', customer_id: customer.id });
    });

    it('takes a job that MikroORM flushed', async () => {
      using _ = shop.app.handle(Invoice, (_task, job) => void (job.note = 'paid'));
      const em = fork();
      const job = em.create(Invoice, { amount: 5 });
      await em.flush();
      expect(job).toMatchObject({ status: 'NEW', queue: 'billing' });
      expect(await job.enqueue()).toMatchObject({ status: 'SUCCESS', note: 'paid' });
    });

    it('says every unknown and wrong option in one message', async () => {
      const job = await Invoice.create();
      const options = { dealy: '5 minutes', priority: 9, quue: 'x', runAt: 'soon' };
      const refusal = await job.enqueue(options as never).catch((error: unknown) => error as Error);
      expect(refusal).toMatchObject({ code: 'settings.invalid' });
      for (const part of ["'delay'", 'priority: 9', "'queue'", 'runAt: ']) expect((refusal as unknown as Error).message).toContain(part);
      await expect(Invoice.enqueue({}, options as never)).rejects.toMatchObject({ code: 'settings.invalid' });
      await expect(Invoice.enqueueMany([{}], options as never)).rejects.toMatchObject({ code: 'settings.invalid' });
    });

    it('of more rows than one INSERT takes runs each once, in their order', async () => {
      const ran: number[] = [];
      using _ = shop.app.handle(Receipt, (_task, job) => void ran.push(job.amount));
      const amounts = Array.from({ length: 1_010 }, (_row, i) => i);
      const em = fork();
      const ids = await Receipt.enqueueMany(
        amounts.map((amount) => ({ amount })),
        { em, priority: 2 },
      );
      expect(ran).toEqual(amounts);
      const { rows } = await shop.db.query(
        'select amount, status, priority from receipt where id = any($1) order by array_position($1, id)',
        [ids],
      );
      expect(rows).toEqual(amounts.map((amount) => ({ amount, status: 'SUCCESS', priority: 2 })));
      expect(em.getUnitOfWork().getIdentityMap().values()).toEqual([]);
    });

    it('that come one by one wait for no lock that another one waits for', async () => {
      using _ = shop.app.handle(Invoice, () => {});
      const reference = crypto.randomUUID();
      const client = await shop.db.connect();
      try {
        await client.query('begin');
        await client.query('insert into invoice (reference) values ($1)', [reference]);
        const waiting = Invoice.enqueue({ reference });
        await until(async () => (await client.query('select 1 from pg_locks where not granted')).rowCount);
        expect(await Promise.all([Invoice.enqueue({}), Receipt.create({ amount: 1 })])).toMatchObject([
          { status: 'SUCCESS' },
          { status: 'NEW' },
        ]);
        await client.query('rollback');
        expect(await waiting).toMatchObject({ status: 'SUCCESS', reference });
      } finally {
        client.release(true);
      }
    });

    it('takes rows that refer to one another, whatever columns each of them has', async () => {
      const Base = asyncJob('Chapter', { title: p.text().nullable(), parent: () => p.manyToOne(Chapter).nullable() });
      class Chapter extends Base {}
      await using opened = await openWith(jobs(Chapter));
      using _ = opened.app.handle(Chapter, () => {});
      const [first, second, third] = Array.from({ length: 3 }, () => crypto.randomUUID());
      const rows = [{ id: third, title: 'c', parent: second }, { id: second, parent: first }, { id: first }];
      expect(await opened.app.of(Chapter).enqueueMany(rows as never)).toEqual([third, second, first]);
    });

    it('writes a thousand rows with two statements: one for each set of columns', async () => {
      const statements: string[] = [];
      await using opened = await openWith([Customer, ...jobs(Invoice)], {
        orm: { debug: ['query'], logger: (message) => void statements.push(message) },
      });
      using _ = opened.app.handle(Invoice, () => {});
      await opened.app.of(Invoice).enqueueMany(Array.from({ length: 1_000 }, (_row, i) => (i % 2 ? { note: `${i}` } : { amount: i })));
      const inserts = statements.filter((statement) => /insert into/i.test(statement));
      expect(inserts).toHaveLength(2);
      for (const insert of inserts) expect(insert).toContain('json_populate_recordset');
    });

    const inRolledBackTransaction = async (work: (em: PostgresEntityManager) => Promise<void>) => {
      const em = fork();
      await em.begin();
      await work(em).finally(() => em.rollback());
    };

    it('of 2,500 rows is written in the caller’s transaction, and nothing of it runs after a rollback', async () => {
      const ran: string[] = [];
      using _ = shop.app.handle(Receipt, (task) => void ran.push(task.id));
      let ids: string[] = [];
      await inRolledBackTransaction(async (em) => {
        const rows = Array.from({ length: 2_500 }, (_row, amount) => ({ amount }));
        ids = await Receipt.enqueueMany(rows.values(), { em });
        const written = await em.execute<{ id: string }[]>(
          `select id from receipt where status = 'PENDING' and run = 1 and queue = 'default' order by amount`,
        );
        expect(written.map(({ id }) => id)).toEqual(ids);
      });
      expect(ids).toHaveLength(2_500);
      expect([ran, await Receipt.count({ id: { $in: ids.slice(0, 10) } })]).toEqual([[], 0]);
    });

    it('of a thousand rows is one INSERT', async () => {
      using _ = shop.app.handle(Receipt, () => {});
      await inRolledBackTransaction(async (em) => {
        await Receipt.enqueueMany(
          Array.from({ length: 1_000 }, (_row, amount) => ({ amount })),
          { em },
        );
        const [written] = await em.execute<{ inserts: number }[]>(
          `select count(distinct cmin::text)::int as inserts from receipt where status = 'PENDING'`,
        );
        expect(written).toEqual({ inserts: 1 });
      });
    });

    it('of many rows writes none when one is wrong', async () => {
      using _ = shop.app.handle(Invoice, () => {});
      const note = crypto.randomUUID();
      const rows = [{ note }, { note, short: 'much too long' }];
      await expect(Invoice.enqueueMany(rows)).rejects.toMatchObject({ code: 'job.value_invalid' });
      expect(await Invoice.count({ note })).toBe(0);
      expect(await Invoice.enqueueMany([])).toEqual([]);
    });
  });

  describe('retry and revoke', () => {
    it('retry writes unsaved own columns along, so that the next run sees them', async () => {
      using _ = shop.app.handle(Invoice, (_task, job) => {
        if (job.amount === 0) throw new Error('no amount');
        job.note = `paid ${job.amount}`;
      });
      const job = await Invoice.enqueue({}, { em: fork() });
      expect(job.status).toBe('FAILURE');
      job.amount = 7;
      expect(await job.retry()).toMatchObject({ status: 'SUCCESS', run: 2, amount: 7, note: 'paid 7' });
      expect(await rowOf(job.id)).toMatchObject({ amount: 7, note: 'paid 7' });
    });

    it.each<[string, (em: PostgresEntityManager) => void]>([
      ['managed', () => undefined],
      ['cleared from its EntityManager', (em) => em.clear()],
    ])('revoke leaves unsaved own columns of a job that is %s as they are: unsaved', async (_how, prepare) => {
      const em = fork();
      const job = await Invoice.create({ note: 'old', amount: 1 }, { em });
      prepare(em);
      job.note = 'new';
      await shop.db.query('update invoice set amount = 2 where id = $1', [job.id]);
      expect(await job.revoke({ reason: 'no' })).toBe('REVOKED');
      expect(job).toMatchObject({ status: 'REVOKED', note: 'new', amount: 1, revokeReason: 'no', endedAt: expect.any(Date) as Date });
      expect(await rowOf(job.id)).toMatchObject({ status: 'REVOKED', note: 'old' });
      await job.save();
      expect(await rowOf(job.id)).toMatchObject({ status: 'REVOKED', note: 'new', amount: 2 });
    });
  });

  describe('after a rollback', () => {
    const moves: [string, (job: Invoice, em: PostgresEntityManager) => Promise<unknown>][] = [
      ['enqueue', (job, em) => job.enqueue({ em })],
      ['retry', (job, em) => job.retry({ em })],
      ['revoke', (job, em) => job.revoke({ em })],
      ['save', (job, em) => job.save({ em })],
    ];
    const ways: [string, (em: PostgresEntityManager, work: (em: PostgresEntityManager) => Promise<unknown>) => Promise<unknown>][] = [
      ['of a transaction', (em, work) => em.transactional((inner) => work(inner as PostgresEntityManager))],
      [
        'of a savepoint',
        // Of another EntityManager: the end of the outer transaction would flush the job.
        (_em, work) =>
          fork().transactional((outer) => outer.transactional((inner) => work(inner as PostgresEntityManager)).catch(() => undefined)),
      ],
      [
        'around a released savepoint',
        (em, work) =>
          em.transactional(async (outer) => {
            let failure: unknown;
            await outer.transactional((inner) => work(inner as PostgresEntityManager).catch((error: unknown) => (failure = error)));
            throw failure;
          }),
      ],
      [
        'that was begun',
        async (em, work) => {
          await em.begin();
          await work(em).finally(() => em.rollback());
        },
      ],
    ];
    const fields = ({ status, run, queue, enqueuedAt, endedAt, revokeRequestedAt, updatedAt }: Invoice) => ({
      status,
      run,
      queue,
      enqueuedAt: enqueuedAt ?? null,
      endedAt: endedAt ?? null,
      revokeRequestedAt: revokeRequestedAt ?? null,
      updatedAt,
    });

    it.each(moves.flatMap(([verb, move]) => ways.map(([way, transaction]) => [verb, way, move, transaction] as const)))(
      'the job says of %s what it said before, and what is unsaved of it is so again: %s',
      async (verb, _way, move, transaction) => {
        using _ = shop.app.handle(Invoice, (task, job) => {
          if (task.run === 1 && verb === 'retry') throw new Error('as told');
          job.short = 'handled';
        });
        const em = fork();
        const job = verb === 'retry' ? await Invoice.enqueue({ note: 'old' }, { em }) : await Invoice.create({ note: 'old' }, { em });
        const before = fields(job);
        let during = before;
        job.note = 'new';
        await transaction(em, async (inner) => {
          await move(job, inner);
          during = fields(job);
          throw new Error('rolled back');
        }).catch(() => undefined);
        expect(verb === 'save' || during.updatedAt > before.updatedAt || during.status !== before.status).toBe(true);
        expect([fields(job), job.note]).toEqual([before, 'new']);
        expect(await rowOf(job.id)).toMatchObject({ status: before.status, run: before.run, note: 'old' });
        await move(job, fork());
        const note = verb === 'revoke' ? 'old' : 'new';
        expect(await rowOf(job.id)).toMatchObject({ note, short: verb === 'enqueue' || verb === 'retry' ? 'handled' : null });
      },
    );

    it('says what was before the first of several moves', async () => {
      using _ = shop.app.handle(Invoice, () => {});
      const em = fork();
      const job = await Invoice.create({ note: 'old' }, { em });
      await em.begin();
      job.note = 'saved';
      await job.save();
      job.note = 'enqueued';
      await job.enqueue();
      await job.revoke();
      await em.rollback();
      expect(job).toMatchObject({ status: 'NEW', run: 0, note: 'enqueued' });
      await job.enqueue();
      expect(await rowOf(job.id)).toMatchObject({ status: 'SUCCESS', run: 1, note: 'enqueued' });
    });
  });

  describe('own columns in a handler', () => {
    const noteOf = async (id: string) => (await rowOf(id))['note'];
    /** What the handler sees and does, of a job that is then read anew. */
    const handled = async (handler: JobHandler<Invoice>) => {
      using _ = shop.app.handle(Invoice, handler);
      const job = await Invoice.create({ note: 'old' });
      await job.enqueue();
      return job;
    };

    it.each<[string, (task: Task<Invoice>, work: (em: PostgresEntityManager) => Promise<void>) => Promise<void>, boolean]>([
      ['of task.em', (task, work) => task.em.transactional((em) => work(em as PostgresEntityManager)), false],
      ['of an EntityManager that is given', (_task, work) => fork().transactional((em) => work(em as PostgresEntityManager)), true],
      [
        'that was begun',
        async (task, work) => {
          await task.em.begin();
          try {
            await work(task.em as PostgresEntityManager);
            await task.em.commit();
          } catch (error) {
            await task.em.rollback();
            throw error;
          }
        },
        false,
      ],
    ])('save is part of the transaction %s: written with its commit, undone by its rollback', async (_what, transaction, given) => {
      const seen: unknown[] = [];
      const job = await handled(async (task, own) => {
        const work = async (em: PostgresEntityManager) => {
          await em.execute('update invoice set amount = amount + 1 where id = ?', [own.id]); // has the row's lock
          own.short = 'saved';
          await own.save(given ? { em } : {});
          seen.push((await rowOf(own.id))['short']);
        };
        await transaction(task, work);
        seen.push((await rowOf(own.id))['short']);
        own.short = 'second';
        await transaction(task, async (em) => {
          await work(em);
          own.short = 'third';
          await own.save(given ? { em } : {});
          throw new Error('rolled back');
        }).catch(() => undefined);
        seen.push((await rowOf(own.id))['short']);
      });
      expect(job.errorMessage ?? null).toBeNull();
      expect(seen).toEqual([null, 'saved', 'saved', 'saved']);
      expect(await rowOf(job.id)).toMatchObject({ status: 'SUCCESS', amount: 1, short: 'third' });
    });

    it.each<[string, (task: Task<Invoice>, job: Invoice) => Promise<unknown>]>([
      ['save', async (_task, job) => job.save()],
      ['save in a transaction', async (task, job) => task.em.transactional(() => job.save())],
      ['flush', async (task) => task.em.flush()],
      ['flush in a transaction', async (task) => task.em.transactional((em) => em.flush())],
      [
        'flush of another instance of it',
        async (task, job) => {
          const em = task.em.fork();
          const other = await em.findOneOrFail(Invoice, { id: job.id });
          other.note = 'stale';
          await em.flush();
        },
      ],
    ])('%s is refused once the row was taken, and writes nothing', async (_how, write) => {
      let refusal: unknown;
      let aborted: unknown;
      const job = await handled(async (task, own) => {
        await shop.db.query(`update invoice set run = run + 1, note = 'newer' where id = $1`, [own.id]);
        own.note = 'stale';
        refusal = await write(task, own).catch((error: unknown) => error);
        aborted = task.signal.aborted;
      });
      expect(refusal).toMatchObject({ code: 'attempt.overtaken' });
      expect(aborted).toBe(true);
      expect(await noteOf(job.id)).toBe('newer');
    });

    it.each<[string, (em: PostgresEntityManager, work: (em: PostgresEntityManager) => Promise<void>) => Promise<void>]>([
      ['a flush', (em, work) => work(em)],
      ['a flush in a transaction', (em, work) => em.transactional((inner) => work(inner as PostgresEntityManager))],
    ])('%s writes them, with what else was changed, and leaves nothing to write', async (_what, within) => {
      const seen: unknown[] = [];
      const job = await handled(async (task, own) => {
        await within(task.em as PostgresEntityManager, async (em) => {
          own.note = 'flushed';
          own.customer = em.create(Customer, { name: own.id });
          await em.flush();
          own.short = 'again';
          await em.flush();
        });
        seen.push(await rowOf(own.id));
        await shop.db.query(`update invoice set note = 'by another' where id = $1`, [own.id]);
      });
      expect(job.errorMessage ?? null).toBeNull();
      expect(seen).toEqual([
        expect.objectContaining({ status: 'STARTED', note: 'flushed', short: 'again', customer_id: expect.any(Number) as number }),
      ]);
      expect(await rowOf(job.id)).toMatchObject({ status: 'SUCCESS', note: 'by another' });
    });

    it('a flush of nothing else leaves nothing to write, either', async () => {
      const job = await handled(async (task, own) => {
        own.note = 'flushed';
        await task.em.flush();
        await shop.db.query(`update invoice set note = 'by another' where id = $1`, [own.id]);
        await task.em.flush();
      });
      expect(await rowOf(job.id)).toMatchObject({ status: 'SUCCESS', note: 'by another' });
    });

    it('what a flush wrote in a transaction that was rolled back is written with SUCCESS', async () => {
      const job = await handled(async (task, own) => {
        own.note = 'flushed';
        await task.em
          .transactional(async (em) => {
            await em.flush();
            throw new Error('rolled back');
          })
          .catch(() => undefined);
      });
      expect(await rowOf(job.id)).toMatchObject({ status: 'SUCCESS', note: 'flushed' });
    });

    it('a flush of another job in a handler is an ordinary one', async () => {
      const other = await Invoice.create({ note: 'other' });
      await handled(async (task) => {
        const found = await task.em.findOneOrFail(Invoice, { id: other.id });
        found.note = 'changed';
        await task.em.flush();
      });
      expect(await noteOf(other.id)).toBe('changed');
    });
  });

  describe('a flush of the application', () => {
    const settled = async (data: { amount?: number } = {}) => {
      using _ = shop.app.handle(Invoice, () => {});
      return await Invoice.enqueue(data, { em: fork() });
    };
    const managerOf = async (job: Invoice) => {
      const em = fork();
      return { em, job: await em.findOneOrFail(Invoice, { id: job.id }) };
    };

    it.each<[string, (job: Invoice, em: EntityManager) => void]>([
      [
        'assigned',
        (job) => void Object.assign(job, { status: 'NEW', run: 9, queue: 'x', progress: 0, errorMessage: 'x', output: { a: 1 } }),
      ],
      ['given to em.assign', (job, em) => void em.assign(job, { status: 'NEW', run: 9, queue: 'x', runId: null } as never)],
    ])('writes no lifecycle column that was %s, but the own ones', async (_how, change) => {
      const { em, job } = await managerOf(await settled({ amount: 1 }));
      const before = await rowOf(job.id);
      change(job, em);
      job.amount = 2;
      await em.flush();
      const { amount, updated_at, ...after } = await rowOf(job.id);
      expect(amount).toBe(2);
      expect(updated_at).not.toEqual(before['updated_at']);
      expect({ ...after, amount: 1, updated_at: before['updated_at'] }).toEqual(before);
    });

    it.each([[1], [3]])('of nothing but lifecycle columns is no error and writes nothing: %i jobs', async (count) => {
      const ids = [];
      for (let i = 0; i < count; i++) ids.push((await settled()).id);
      const before = await Promise.all(ids.map(rowOf));
      const em = fork();
      for (const job of await em.find(Invoice, { id: { $in: ids } })) Object.assign(job, { status: 'NEW', attempt: 7 });
      await em.flush();
      await em.flush();
      expect(await Promise.all(ids.map(rowOf))).toEqual(before);
    });

    it('writes what one of several jobs has changed, and nothing of the others', async () => {
      const [one, another] = [await settled(), await settled()];
      const before = await rowOf(another.id);
      const em = fork();
      for (const job of await em.find(Invoice, { id: { $in: [one.id, another.id] } })) {
        Object.assign(job, { status: 'NEW' });
        if (job.id === one.id) job.note = 'changed';
      }
      await em.flush();
      expect(await rowOf(one.id)).toMatchObject({ status: 'SUCCESS', note: 'changed' });
      expect(await rowOf(another.id)).toEqual(before);
    });

    it('writes lifecycle columns of no job among many', async () => {
      const ids = [await settled(), await settled()].map(({ id }) => id);
      const em = fork();
      for (const job of await em.find(Invoice, { id: { $in: ids } })) {
        Object.assign(job, { status: 'NEW' });
        job.note = 'both';
      }
      await em.flush();
      for (const id of ids) expect(await rowOf(id)).toMatchObject({ status: 'SUCCESS', note: 'both' });
    });

    it('updates updatedAt when an own column changed, and not otherwise', async () => {
      const created = await settled();
      await shop.db.query(`update invoice set updated_at = updated_at - interval '1 minute' where id = $1`, [created.id]);
      const { em, job } = await managerOf(created);
      const before = job.updatedAt;
      await em.flush();
      expect((await rowOf(job.id))['updated_at']).toEqual(before);
      job.note = 'changed';
      await em.flush();
      expect(((await rowOf(job.id))['updated_at'] as Date).getTime()).toBeGreaterThan(before.getTime());
    });

    it('does not undo what the handler wrote meanwhile', async () => {
      const created = await Invoice.create({ amount: 1 }, { em: fork() });
      const { em, job } = await managerOf(created); // read while it is NEW
      using _ = shop.app.handle(Invoice, (_task, running) => void (running.note = 'paid'));
      await created.enqueue();
      job.amount = 2;
      await em.flush();
      expect(await rowOf(job.id)).toMatchObject({ status: 'SUCCESS', run: 1, note: 'paid', amount: 2 });
    });
  });

  describe('reading', () => {
    it('gets a job by its id; null when there is none', async () => {
      const job = await Invoice.create({ note: 'found' });
      expect(await Invoice.get(job.id)).toMatchObject({ id: job.id, note: 'found' });
      expect(await Invoice.get(job.id.toUpperCase())).toMatchObject({ id: job.id });
      expect(await Invoice.get(NOWHERE)).toBeNull();
      expect(await Invoice.get('nonsense')).toBeNull();
      expect(await Invoice.get('')).toBeNull();
      expect(await Receipt.get(job.id)).toBeNull();
    });

    it('finds jobs by own and lifecycle columns, with relations, and counts them', async () => {
      const em = fork();
      const customer = em.create(Customer, { name: `c-${crypto.randomUUID()}` });
      await em.flush();
      for (const amount of [1, 2, 3]) await Invoice.create({ amount, customer: customer.id });
      const where = { customer: { name: customer.name }, amount: { $gte: 2 }, status: 'NEW' as const };
      const found = await Invoice.find(where, { populate: ['customer'], orderBy: { amount: 'desc' } });
      expect(found.map(({ amount, customer: who }) => [amount, who?.name])).toEqual([
        [3, customer.name],
        [2, customer.name],
      ]);
      expect(await Invoice.count(where)).toBe(2);
      expect(await Invoice.find(where, { limit: 1, offset: 1, orderBy: { amount: 'asc' }, em })).toMatchObject([{ amount: 3 }]);
      expect(await em.find(Invoice, where)).toHaveLength(2);
    });

    it('returns the job created last', async () => {
      await Invoice.create({ note: 'first' });
      const last = await Invoice.create({ note: 'last' });
      expect((await Invoice.latest())?.id).toBe(last.id);
    });

    it('counts all, too', async () => {
      const before = await Receipt.count();
      await Receipt.create({ amount: 1 });
      expect(await Receipt.count()).toBe(before + 1);
    });
  });

  describe('save and refresh', () => {
    it('save writes the own columns of its row, and nothing else that is unsaved', async () => {
      const em = fork();
      const customer = em.create(Customer, { name: 'before' });
      await em.flush();
      const [job, other] = [await Invoice.create({ note: 'old' }, { em }), await Invoice.create({ note: 'old' }, { em })];
      Object.assign(job, { status: 'SUCCESS' });
      job.note = 'new';
      other.note = 'new';
      customer.name = 'after';
      const before = (await rowOf(job.id))['updated_at'] as Date;
      expect(await job.save()).toBe(job);
      const row = await rowOf(job.id);
      expect(row).toMatchObject({ status: 'NEW', note: 'new' });
      expect((row['updated_at'] as Date).getTime()).toBeGreaterThanOrEqual(before.getTime());
      expect(await rowOf(other.id)).toMatchObject({ note: 'old' });
      expect((await shop.db.query('select name from customer where id = $1', [customer.id])).rows).toEqual([{ name: 'before' }]);
      await em.flush();
      expect(await rowOf(other.id)).toMatchObject({ note: 'new' });
      expect((await shop.db.query('select name from customer where id = $1', [customer.id])).rows).toEqual([{ name: 'after' }]);
    });

    it('save leaves nothing to flush', async () => {
      const em = fork();
      const job = await Invoice.create({ note: 'old' }, { em });
      job.note = 'saved';
      await job.save();
      await shop.db.query(`update invoice set note = 'by another' where id = $1`, [job.id]);
      await em.flush();
      expect(await rowOf(job.id)).toMatchObject({ note: 'by another' });
    });

    it('save keeps for the next try what it could not write', async () => {
      const job = await Invoice.create({}, { em: fork() });
      job.note = 'kept';
      job.short = 'much too long';
      await expect(job.save()).rejects.toMatchObject({ code: 'job.value_invalid' });
      job.short = null;
      await job.save();
      expect(await rowOf(job.id)).toMatchObject({ note: 'kept', short: null });
    });

    it('save writes a column that is unique', async () => {
      const job = await Invoice.create({}, { em: fork() });
      job.reference = crypto.randomUUID();
      await job.save();
      expect(await rowOf(job.id)).toMatchObject({ reference: job.reference });
    });

    it('save takes relations, dates and null', async () => {
      const em = fork();
      const customer = em.create(Customer, { name: 'Ada' });
      await em.flush();
      const job = await Invoice.create({ note: 'x' }, { em });
      job.customer = customer;
      job.paidOn = new Date('2026-01-02T03:04:05Z');
      job.note = null;
      await job.save();
      expect(await rowOf(job.id)).toMatchObject({ customer_id: customer.id, paid_on: new Date('2026-01-02T03:04:05Z'), note: null });
    });

    it('save joins the transaction of its EntityManager', async () => {
      const em = fork();
      const job = await Invoice.create({ note: 'old' }, { em });
      await em.begin();
      job.note = 'new';
      await job.save();
      expect(await rowOf(job.id)).toMatchObject({ note: 'old' });
      await em.rollback();
      expect(await rowOf(job.id)).toMatchObject({ note: 'old' });
    });

    it('save refuses values that do not fit, and relations without a row', async () => {
      const em = fork();
      const job = await Invoice.create({}, { em });
      job.short = 'much too long';
      await expect(job.save()).rejects.toMatchObject({ code: 'job.value_invalid' });
      job.short = null;
      job.customer = em.create(Customer, { name: 'unsaved' });
      const refusal = { code: 'relation.unsaved', message: expect.stringContaining("'customer'") as string };
      await expect(job.save()).rejects.toMatchObject(refusal);
    });

    it('refresh re-reads the row and drops what was unsaved of it, and only of it', async () => {
      const em = fork();
      const job = await Invoice.create({ note: 'old', amount: 1 }, { em });
      const other = await Invoice.create({ note: 'old' }, { em });
      await shop.db.query(`update invoice set note = 'by another', status = 'PENDING' where id = $1`, [job.id]);
      job.amount = 2;
      other.note = 'unsaved';
      expect(await job.refresh()).toBe(job);
      expect(job).toMatchObject({ note: 'by another', status: 'PENDING', amount: 1 });
      expect(other.note).toBe('unsaved');
      await em.flush();
      expect(await rowOf(job.id)).toMatchObject({ amount: 1, note: 'by another' });
    });

    it('refresh takes the values of a raw row as their types', async () => {
      const job = await Invoice.create({ amount: 1, paidOn: new Date() });
      await shop.db.query(`update invoice set output = '{"a":[1]}', progress = 0.5, paid_on = '2026-01-02T03:04:05Z' where id = $1`, [
        job.id,
      ]);
      await job.refresh();
      expect(job).toMatchObject({ output: { a: [1] }, progress: 0.5, paidOn: new Date('2026-01-02T03:04:05Z') });
      expect(job.createdAt).toBeInstanceOf(Date);
    });
  });

  describe('wait', () => {
    const refusal = { code: 'job.wait_in_transaction' };

    it('in a transaction is refused at once: nothing runs before its commit', async () => {
      const em = fork();
      const [own, foreign] = [await Invoice.create({}, { em }), await Invoice.create()];
      await em.begin();
      await expect(own.wait({ timeout: '1 second' })).rejects.toMatchObject(refusal);
      await em.rollback();
      await fork().transactional(async () => {
        await expect(own.wait({ timeout: '1 second' })).rejects.toMatchObject(refusal);
        await expect(foreign.wait({ timeout: '1 second' })).rejects.toMatchObject(refusal);
      });
    });

    it.each<[string, (work: (em: PostgresEntityManager) => Promise<void>) => Promise<unknown>]>([
      ['a transaction', (work) => fork().transactional((em) => work(em as PostgresEntityManager))],
      ['a savepoint', (work) => fork().transactional((outer) => outer.transactional((em) => work(em as PostgresEntityManager)))],
    ])('resolves after the commit of %s', async (_what, transaction) => {
      using _ = shop.app.handle(Invoice, () => {});
      let job!: Invoice;
      await transaction(async (em) => void (job = await Invoice.enqueue({}, { em })));
      expect(await job.wait({ timeout: '5 seconds' })).toMatchObject({ status: 'SUCCESS' });
    });

    it('in a handler ends with its attempt, unless it has a signal of its own', async () => {
      const other = await Invoice.create();
      let started = () => {};
      const isStarted = new Promise<void>((resolve) => (started = resolve));
      const own = AbortSignal.timeout(1_500);
      let ended: unknown[] = [];
      using _ = shop.app.handle(Receipt, async (task) => {
        started();
        ended = await Promise.all([
          other.wait({ timeout: '3 seconds' }).catch((error: unknown) => error === task.signal.reason),
          (await Invoice.get(other.id))!.wait({ signal: own }).catch((error: unknown) => error === own.reason),
        ]);
        task.signal.throwIfAborted();
      });
      const job = await Receipt.create({ amount: 1 }, { em: fork() });
      const running = job.enqueue();
      await isStarted;
      expect(await (await Receipt.get(job.id))!.revoke()).toBe('STARTED');
      await running;
      expect([job.status, ended]).toEqual(['REVOKED', [true, true]]);
    });
  });

  describe('errors of the database', () => {
    it('pass as they are when the transaction has lost a race: it can be run again', async () => {
      using _ = shop.app.handle(Invoice, () => {});
      const [one, two] = [fork(), fork()];
      const customer = one.create(Customer, { name: 'Ada' });
      await one.flush();
      const job = await Invoice.create({}, { em: one });
      await one.begin();
      await two.begin();
      await one.execute(`set local deadlock_timeout = '50ms'`);
      await two.execute(`set local deadlock_timeout = '1min'`);
      await one.execute('update customer set name = ? where id = ?', ['one', customer.id]);
      await two.execute('update invoice set amount = 1 where id = ?', [job.id]);
      const waiting = two.execute('update customer set name = ? where id = ?', ['two', customer.id]);
      const deadlock = await job.enqueue().catch((error: unknown) => error);
      await one.rollback();
      await waiting;
      await two.commit();

      await one.begin({ isolationLevel: IsolationLevel.REPEATABLE_READ });
      await one.execute('select 1 from invoice');
      await shop.db.query('update invoice set amount = 2 where id = $1', [job.id]);
      const serialization = await job.enqueue().catch((error: unknown) => error);
      await one.rollback();
      expect(deadlock).toBeInstanceOf(DeadlockException);
      expect(deadlock).toMatchObject({ code: '40P01' });
      expect(serialization).toMatchObject({ code: '40001', name: 'DeadlockException' });
    });

    it('say what PostgreSQL said, not its hint', async () => {
      const job = await Invoice.create();
      await shop.db.query('alter table invoice rename column short to shorts');
      try {
        job.short = 'x';
        const refused = job.save();
        await expect(refused).rejects.toMatchObject({ code: 'database.schema' });
        await expect(refused).rejects.toThrow('(column "short" of relation "invoice" does not exist)');
        await expect(Invoice.find({ short: 'x' })).rejects.toThrow(/\(column [^\n]*short does not exist\)/);
      } finally {
        await shop.db.query('alter table invoice rename column shorts to short');
      }
      await expect(Invoice.create({ customer: 999_999 })).rejects.toThrow(
        /\(insert or update on table "invoice" violates foreign key [^\n]+\)/,
      );
      await expect(Invoice.create({ short: 'much too long' })).rejects.toThrow(/: value too long for type character varying\(8\)$/);
    });

    it.each([
      [Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })],
      [Object.assign(new Error('of the rows'), { name: 'ValidationError' })],
      [Object.assign(new Error('of the rows'), { code: '42P01' })],
    ])('are not what the rows of enqueueMany throw themselves: %o', async (error) => {
      using _ = shop.app.handle(Receipt, () => {});
      const rows = function* () {
        yield { amount: 1 };
        throw error;
      };
      const before = await Receipt.count();
      await expect(Receipt.enqueueMany(rows())).rejects.toBe(error);
      expect(await Receipt.count()).toBe(before);
    });
  });

  describe('that is not among the entities', () => {
    const refusal = { code: 'job.not_an_entity', message: expect.stringContaining("'Stranger'") as string };

    it('is refused by create, enqueue and every read', async () => {
      await expect(Stranger.create()).rejects.toMatchObject(refusal);
      await expect(Stranger.enqueue()).rejects.toMatchObject(refusal);
      await expect(Stranger.enqueueMany([{}])).rejects.toMatchObject(refusal);
      for (const read of [() => Stranger.get(NOWHERE), () => Stranger.find({}), () => Stranger.latest(), () => Stranger.count()])
        await expect((async (): Promise<unknown> => read())()).rejects.toMatchObject(refusal);
    });

    it('is refused by app.handle', () => {
      expect(() => shop.app.handle(Stranger, () => {})).toThrow(expect.objectContaining(refusal));
    });

    it('is refused when it has a handler: by connect with the inline engine, by a worker’s preparation otherwise', async () => {
      Stranger.handler(() => {});
      try {
        await expect(openWith(jobs(Invoice, Flaky))).rejects.toMatchObject(refusal);
        await using opened = await openWith(jobs(Invoice), { engine: 'workflow', tables: false, temporal: { address: 'localhost:1' } });
        await expect(opened.app.prepare()).rejects.toMatchObject(refusal);
      } finally {
        (registeredHandlers() as Map<JobClass, unknown>).delete(Stranger);
      }
    });

    it('leaves no application open when connect refuses it', async () => {
      Stranger.handler(() => {});
      const before = [...openApplications()];
      try {
        await expect(openShop({ engine: 'inline', classes: CLASSES })).rejects.toMatchObject(refusal);
        expect([...openApplications()]).toEqual(before);
      } finally {
        for (const application of openApplications()) if (!before.includes(application)) applicationClosed(application);
        (registeredHandlers() as Map<JobClass, unknown>).delete(Stranger);
      }
    });

    it('is refused when it was listed itself instead of in jobs(…), which MikroORM passes over', async () => {
      await using opened = await openWith([Stranger as never, ...jobs(Receipt)]);
      await expect(opened.app.of(Stranger).create()).rejects.toMatchObject(refusal);
    });
  });
});

describe('names in the database', () => {
  class Renamed extends asyncJob('Renamed', { anyNote: p.text().nullable() }) {}

  /** What is seen of jobs of a class that go through every kind of statement. */
  const lifeIn = async ({ app, db }: Opened, jobClass: typeof Renamed, table: string) => {
    using _ = app.handle(jobClass, (task, job) => {
      task.progress(0.5, 'half');
      if (job.anyNote === 'fails') throw new Error('as told');
      job.anyNote = 'handled';
      return { ok: true };
    });
    const bound = app.of(jobClass);
    const seen = ({ status, run, queue, anyNote, errorMessage }: Renamed) => [status, run, queue, anyNote, errorMessage ?? null];
    const job = await bound.create({ anyNote: 'x' });
    const succeeded = seen(await job.enqueue({ queue: 'elsewhere', priority: 2 }));
    const second = await bound.enqueue({ anyNote: 'fails' });
    const failed = seen(second);
    second.anyNote = 'saved';
    await second.save();
    const retried = seen(await second.retry());
    const third = await bound.create();
    const revoked = await third.revoke({ reason: 'no' });
    await bound.enqueueMany([{}, {}]);
    await db.query(`insert into ${table} (status) values ('PENDING')`);
    const metadata = app.orm.getMetadata();
    const schema = app.orm.config.get('schema');
    const sweep = undispatchedQuery(jobTableOf('Renamed', metadata.get(jobClass), { defaultSchema: schema }), {
      attempts: '',
      workers: '',
    });
    const { attempts } = libraryTables(metadata, { attempts: AsyncJobAttempt, workers: AsyncJobWorker }, schema);
    const views = await app.orm.em.fork().find(AsyncJobView, {}, { orderBy: { createdAt: 'asc' } });
    return {
      succeeded,
      failed,
      retried,
      revoked,
      undispatched: (await db.query<{ run: number; queue: string }>(sweep, [0, 10])).rows.map(({ run, queue }) => [run, queue]),
      history: (await db.query(`select job_type, job_id, outcome from ${attempts}`)).rows,
      viewed: views.map(({ jobType, status, run }) => [jobType, status, run]),
      isViewed: views.some(({ id, createdAt }) => id === second.id && createdAt.getTime() === second.createdAt.getTime()),
      migration: await app.orm.schema.getUpdateSchemaSQL(),
    };
  };
  const LIFE = {
    succeeded: ['SUCCESS', 1, 'elsewhere', 'handled', null],
    failed: ['FAILURE', 1, 'default', 'fails', 'Error: as told'],
    retried: ['SUCCESS', 2, 'default', 'handled', null],
    revoked: 'REVOKED',
    undispatched: [[0, 'default']],
    history: [{ job_type: 'Renamed', job_id: expect.any(String) as string, outcome: 'failed' }],
    viewed: [
      ['Renamed', 'SUCCESS', 1],
      ['Renamed', 'SUCCESS', 2],
      ['Renamed', 'REVOKED', 0],
      ['Renamed', 'SUCCESS', 1],
      ['Renamed', 'SUCCESS', 1],
      ['Renamed', 'PENDING', 0],
    ],
    isViewed: true,
    migration: '',
  };

  it('may be a table and a schema of the class’s own', async () => {
    class Placed extends asyncJob('Renamed', { anyNote: p.text().nullable() }, { tableName: 'the table', schema: 'office' }) {}
    await using opened = await openWith(jobs(Placed));
    expect(await lifeIn(opened, Placed as never, 'office."the table"')).toEqual(LIFE);
  });

  it('may be in the schema of the whole application', async () => {
    await using opened = await openWith(jobs(Renamed), { orm: { schema: 'jobs' } });
    expect(await lifeIn(opened, Renamed, 'jobs.renamed')).toEqual(LIFE);
  });

  it('are those of a job that a filter of the application hides, too', async () => {
    const filters = { visible: { name: 'visible', cond: { anyNote: 'visible' }, entity: ['Renamed'], default: true } };
    await using opened = await openWith(jobs(Renamed), { orm: { filters: filters as never } });
    const job = await opened.app.of(Renamed).create({ anyNote: 'hidden' });
    await job.revoke();
    expect(await job.wait({ timeout: '5 seconds' })).toMatchObject({ status: 'REVOKED', anyNote: 'hidden' });
  });

  it('may follow another naming strategy', async () => {
    await using opened = await openWith(jobs(Renamed), { orm: { namingStrategy: EntityCaseNamingStrategy } });
    const { rows } = await opened.db.query(`select column_name from information_schema.columns where table_name = 'renamed'`);
    expect(rows).toEqual(expect.arrayContaining([{ column_name: 'anyNote' }, { column_name: 'createdAt' }]));
    expect(await lifeIn(opened, Renamed, 'renamed')).toEqual(LIFE);
  });
});

describe('own columns of every kind', () => {
  const VALUES = {
    at: new Date('2026-01-02T03:04:05.678Z'),
    wall: new Date('2026-07-02T03:04:05.678Z'),
    day: '2026-01-02',
    file: Buffer.from([0, 1, 255]),
    tags: ['a', 'b,"c"'],
    data: [{ a: [1] }, 'x'],
    big: 12n,
    price: '1.50',
    address: { street: 'here', since: new Date('2026-01-02T03:04:05.678Z') },
    asObject: { street: 'there', since: new Date('2026-01-02T03:04:05.678Z') },
    several: [{ street: 'one', since: null }, { street: 'two' }],
  };
  let zone: string | undefined;
  let opened: Opened;
  beforeAll(async () => {
    zone = process.env['TZ'];
    process.env['TZ'] = 'America/New_York';
    opened = await openWith(jobs(Typed));
  });
  afterAll(async () => {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
    await opened?.[Symbol.asyncDispose]();
  });
  const writtenAs = async (write: (job: Typed, em: PostgresEntityManager) => Promise<unknown>) => {
    const em = opened.app.orm.em.fork() as PostgresEntityManager;
    const job = await opened.app.of(Typed).create({ data: null }, { em });
    await write(job, em);
    return rowOf(job.id);
  };
  const rowOf = async (id: string) => {
    const columns = 'at, wall::text as wall, day, file, tags, data, big, price, address_street, address_since, as_object, several';
    return (await opened.db.query(`select ${columns} from typed where id = $1`, [id])).rows[0] as Record<string, unknown>;
  };

  it.each<[string, (job: Typed, em: PostgresEntityManager) => Promise<unknown>]>([
    ['save', async (job, em) => (em.assign(job, VALUES as never), job.save())],
    ['enqueue', async (job, em) => (em.assign(job, VALUES as never), job.enqueue())],
    ['the end of a handler', async (job) => job.enqueue()],
    ['a flush in a handler', async (job) => job.enqueue()],
  ])('are written by %s as by a flush', async (what, write) => {
    using _ = opened.app.handle(Typed, async (task, job) => {
      if (what === 'enqueue') return;
      task.em.assign(job, VALUES as never);
      if (what === 'a flush in a handler') await task.em.flush();
    });
    const flushed = await writtenAs(async (job, em) => (em.assign(job, VALUES as never), em.flush()));
    expect(flushed).toMatchObject({ at: VALUES.at, wall: '2026-07-02 03:04:05.678', file: VALUES.file, as_object: { street: 'there' } });
    expect(await writtenAs(write)).toEqual(flushed);
  });

  const { asObject, several, ...PLAIN } = VALUES;
  it.each<[string, object[]]>([
    ['together', [PLAIN, PLAIN]],
    ['that are objects', [VALUES, PLAIN]],
    ['different ones in each row', [{}, { asObject }, PLAIN, { several }, { tags: VALUES.tags }, { day: VALUES.day, data: 'x' }]],
    ['with a JSON null', [PLAIN, { data: null }, { data: 'null' }, { data: [null] }]],
    ['with nulls', [Object.fromEntries(Object.keys(PLAIN).map((name) => [name, null])), { big: null }]],
    ['with half a letter', [{ tags: ['\ud83d'] }, {}]],
    ['with expressions', [{ price: raw('1 + 0.5') }, { price: '2.5' }]],
    ['with letters that mean something elsewhere', [{ tags: ['\\', '?', '$1', ':a', "'", '"', 'ü'], data: "?'\\\n{}" }]],
    ['with large numbers', [{ big: 9_223_372_036_854_775_807n, price: '9999999999' }, { price: 'NaN' }]],
  ])('are written by enqueueMany as by a flush: %s', async (_what, rows) => {
    using _ = opened.app.handle(Typed, () => {});
    const flushed = [];
    for (const row of rows) flushed.push(await writtenAs(async (job, em) => (em.assign(job, row as never), em.flush())));
    const ids = await opened.app.of(Typed).enqueueMany(rows.map((row) => ({ data: null, ...row })) as never);
    const written = [];
    for (const id of ids) written.push(await rowOf(id));
    expect(written).toEqual(flushed);
  });

  it('are refused by enqueueMany when they do not fit, rather than cut to fit', async () => {
    using _ = opened.app.handle(Typed, () => {});
    const refusal = { code: 'job.value_invalid' };
    await expect(opened.app.of(Typed).enqueueMany([{ day: 'no day' } as never])).rejects.toMatchObject(refusal);
    await expect(opened.app.of(Typed).enqueueMany([{ tags: ['a\0b'] } as never])).rejects.toMatchObject(refusal);
    await expect(opened.app.of(Typed).enqueueMany([{ data: 'a\0b' } as never])).rejects.toMatchObject(refusal);
  });

  it('of domains, and whole numbers that are none, are written by enqueueMany as by enqueue', async () => {
    class Odd extends asyncJob('Odd', {
      note: p.text().nullable(),
      count: p.integer().default(4),
      document: p.json().columnType('odd_document').nullable(),
      tenant: p.text().columnType('odd_tenant').defaultRaw(`'mine'`),
    }) {}
    await using odd = await openWith(jobs(Odd), { tables: false });
    await odd.db.query(`create domain odd_document as jsonb; create domain odd_tenant as text not null`);
    await odd.app.orm.schema.create();
    using _ = odd.app.handle(Odd, () => {});
    const rows = [{ count: 1.5, note: 'a\ud83d' }, { document: { a: [1] } }, { count: null }, { tenant: null }, {}];
    const written = async (ids: readonly string[]) =>
      (await odd.db.query('select note, count, document, tenant from odd where id = any($1) order by array_position($1, id)', [ids]))
        .rows as object[];
    const single = [];
    for (const row of rows) single.push((await odd.app.of(Odd).enqueue(row as never)).id);
    const expected = await written(single);
    expect(expected).toMatchObject([{ count: 2, tenant: 'mine' }, { document: { a: [1] } }, {}, { tenant: 'mine' }, { count: 4 }]);
    expect(await written(await odd.app.of(Odd).enqueueMany(rows as never))).toEqual(expected);
  });

  it('but those that are converted by SQL are refused by connect', async () => {
    class Upper extends Type<string, string> {
      override convertToDatabaseValueSQL(key: string) {
        return `upper(${key})`;
      }
      override getColumnType() {
        return 'text';
      }
    }
    class Lower extends Type<string, string> {
      override convertToJSValueSQL(key: string) {
        return `lower(${key})`;
      }
      override getColumnType() {
        return 'text';
      }
    }
    class Shouting extends asyncJob('Shouting', { loud: p.type(Upper as never).nullable(), soft: p.type(Lower as never).nullable() }) {}
    const refusal = await openWith(jobs(Shouting), { tables: false }).catch((error: unknown) => error as Error);
    expect(refusal).toMatchObject({ code: 'settings.invalid' });
    for (const property of ['Shouting.loud', 'Shouting.soft']) expect((refusal as Error).message).toContain(property);
  });
});

describe('closing an application', () => {
  const options = { log: pino({ level: 'silent' }), settings: readSettings({}, { engine: 'inline' }) };

  it('closes everything although its teardown throws, and says so', async () => {
    await using database = await freshDatabase();
    let orm!: MikroORM;
    const app = await AsyncJobs.connect(
      {
        engine: 'inline',
        orm: async () => (orm = await MikroORM.init(ormConfig({ clientUrl: database.url, entities: [...jobs(Receipt)] }))),
        setup: () => () => {
          throw new Error('of the teardown');
        },
      },
      options,
    );
    await app.orm.schema.create();
    await expect(app.close()).rejects.toThrow('of the teardown');
    expect(await orm.isConnected()).toBe(false);
    expect([...openApplications()]).toEqual([]);
    await app.close();
  });

  it('leaves nothing of it in an ORM that goes on', async () => {
    await using database = await freshDatabase();
    const orm = await MikroORM.init(ormConfig({ clientUrl: database.url, entities: [Customer, ...jobs(Invoice)] }));
    try {
      await orm.schema.create();
      const counts = [];
      for (let i = 0; i < 3; i++) {
        await using app = await AsyncJobs.connect({ engine: 'inline', orm }, options);
        const em = orm.em.fork();
        const ran: string[] = [];
        using _ = app.handle(Invoice, (task) => void ran.push(task.id));
        let job!: Invoice;
        await em.transactional(async (inner) => void (job = await app.of(Invoice).enqueue({}, { em: inner as PostgresEntityManager })));
        expect(ran).toEqual([job.id]);
        Object.assign(job, { run: 9 });
        await em.flush();
        expect(await app.of(Invoice).count({ run: 9 })).toBe(0);
        counts.push(orm.em.getEventManager().getSubscribers().size);
      }
      expect(new Set(counts).size).toBe(1);
      const em = orm.em.fork();
      const [job] = await em.find(Invoice, {}, { limit: 1 });
      Object.assign(job!, { run: 9 });
      await em.flush();
      expect(await em.fork().count(Invoice, { run: 9 })).toBe(1); // MikroORM's own, as without this library
    } finally {
      await orm.close();
    }
  });
});

describe('what is no job class', () => {
  it('two classes of one job type', () => {
    class Twin extends asyncJob('Invoice', {}) {}
    expect(() => jobs(Invoice, Twin)).toThrow(
      expect.objectContaining({ code: 'job.duplicate_type', message: expect.stringContaining("'Twin'") as string }),
    );
    expect(() => jobs(Invoice, Invoice)).not.toThrow();
  });

  it('two classes of one job type, of which one came in otherwise', async () => {
    class Alone extends AsyncJob {
      static override jobType = 'Receipt';
    }
    const schema = new EntitySchema({ class: Alone as never, extends: 'AsyncJob', tableName: 'alone' } as never);
    await expect(openWith([schema as never, ...jobs(Receipt)])).rejects.toMatchObject({ code: 'job.duplicate_type' });
  });

  it('a class that extends another one of the helper', () => {
    class Special extends Invoice {}
    expect(() => jobs(Special)).toThrow(
      expect.objectContaining({ code: 'job.not_direct', message: expect.stringContaining("'Special'") as string }),
    );
  });

  it.each([['queue'], ['status'], ['id'], ['output'], ['enqueue'], ['isBusy'], ['waitTime'], ['constructor']])(
    'one with an own column named %s',
    (column) => {
      expect(() => asyncJob('Clash', { [column]: p.integer() } as never)).toThrow(
        expect.objectContaining({ code: 'job.reserved_column', message: expect.stringContaining(`'${column}'`) as string }),
      );
    },
  );
});

describe('wrong statics of a job class are refused by connect', () => {
  const refusalOf = async (jobClass: JobClass, config: Partial<Config> = {}) =>
    openWith(jobs(jobClass), { tables: false, ...config } as never).then(
      async (opened) => {
        await opened[Symbol.asyncDispose]();
        throw new Error('was not refused');
      },
      (error: unknown) => error as Error & { code: string },
    );

  it.each([
    ['defualtQueue', 'defaultQueue'],
    ['default_queue', 'defaultQueue'],
    ['defaultqueue', 'defaultQueue'],
    ['opitons', 'options'],
    ['option', 'options'],
    ['jobtype', 'jobType'],
  ])('%s, which was meant to be %s', async (name, meant) => {
    class Slip extends asyncJob('Slip', {}) {}
    Object.assign(Slip, { [name]: 'x' });
    const error = await refusalOf(Slip);
    expect(error.code).toBe('settings.invalid');
    expect(error.message).toContain(`'${name}'`);
    expect(error.message).toContain(`'${meant}'`);
    expect(error.message).toContain('Slip');
  });

  it('all of them and the options in one message', async () => {
    class Slip extends asyncJob('Slip', {}) {
      static defualtQueue = 'x';
      static opitons = {};
      static override options = { runTimout: '1m', retry: { maxAttempts: 3 }, priority: 9 } as object as JobOptions;
    }
    const { code, message } = await refusalOf(Slip);
    expect(code).toBe('settings.invalid');
    for (const part of ['defualtQueue', 'opitons', 'runTimout', 'maxAttempts', 'priority']) expect(message).toContain(part);
  });

  it.each<[string, unknown]>([
    ['empty', ''],
    ['a number', 7],
    ['with a slash', 'a/b'],
  ])('a defaultQueue that is %s', async (_what, defaultQueue) => {
    class Slip extends asyncJob('Slip', {}) {}
    Slip.defaultQueue = defaultQueue as string;
    expect(await refusalOf(Slip)).toMatchObject({ code: 'settings.invalid', message: expect.stringContaining('defaultQueue') as string });
  });

  it('unknown options of class and configuration in one message', async () => {
    class Slip extends asyncJob('Slip', {}) {
      static override options = { runTimout: '1m', hearbeatTimeout: '1m' } as JobOptions;
    }
    const { message } = await refusalOf(Slip);
    for (const part of ["did you mean 'runTimeout'", "did you mean 'heartbeatTimeout'"]) expect(message).toContain(part);
  });

  it('but not statics of its own that resemble none of ours', async () => {
    class Fine extends asyncJob('Fine', {}) {
      static actions = ['a'];
      static queues = 3;
      static counter = 0;
      static types = {};
      static override jobType = 'Fine';
      static make(): void {}
    }
    await using opened = await openWith(jobs(Fine), { tables: false });
    expect(opened.app.name).toBe('');
  });
});

describe('a database', () => {
  it('without the tables is an error that says to migrate', async () => {
    await using shop = await openInline();
    await shop.app.orm.schema.drop();
    using _ = shop.app.handle(Invoice, () => {});
    const refusal = { code: 'database.schema', message: expect.stringContaining('migration:up') as string };
    await expect(Invoice.create()).rejects.toMatchObject(refusal);
    await expect(Invoice.enqueue()).rejects.toMatchObject(refusal);
    await expect(Invoice.enqueueMany([{}])).rejects.toMatchObject(refusal);
  });

  it('with a table of an older version is the same', async () => {
    await using shop = await openInline();
    const job = await Invoice.create();
    await shop.db.query('alter table invoice drop column failures');
    await expect(Invoice.create()).rejects.toMatchObject({
      code: 'database.schema',
      message: expect.stringContaining('failures') as string,
    });
    await expect(job.refresh()).resolves.toBe(job);
  });

  it('that is away is an error that says so, and connecting is none', async () => {
    await using app = await AsyncJobs.connect(
      { engine: 'inline', orm: ormConfig({ clientUrl: 'postgres://nobody@127.0.0.1:1/none', entities: [Customer, ...jobs(...CLASSES)] }) },
      { log: pino({ level: 'silent' }), settings: readSettings({}, { engine: 'inline' }) },
    );
    using _ = app.handle(Invoice, () => {});
    await expect(Invoice.create()).rejects.toMatchObject({ code: 'database.unavailable', retryable: true });
    await expect(Invoice.enqueue()).rejects.toMatchObject({ code: 'database.unavailable' });
    await expect(Invoice.enqueueMany([{}])).rejects.toMatchObject({ code: 'database.unavailable' });
  });
});

describe('which application a call belongs to', () => {
  const countIn = async ({ db }: Shop) => Number((await db.query('select count(*) from invoice')).rows[0].count);
  const handling = (shop: Shop, name: string) => shop.app.handle(Invoice, (_task, job) => void (job.note = name));

  describe('with two open at once', () => {
    let one: Shop;
    let two: Shop;
    beforeAll(async () => void ([one, two] = await Promise.all([openInline({ name: 'one' }), openInline({ name: 'two' })])));
    afterAll(() => Promise.all([one?.[Symbol.asyncDispose](), two?.[Symbol.asyncDispose]()]));

    it('is an error that names both when the call names none', async () => {
      const refusal = { code: 'app.ambiguous', message: expect.stringMatching(/(?=.*'one')(?=.*'two')/) as string };
      expect(() => Invoice.create()).toThrow(expect.objectContaining(refusal));
      expect(() => Invoice.get(NOWHERE)).toThrow(expect.objectContaining(refusal));
      expect(() => Invoice.count()).toThrow(expect.objectContaining(refusal));
    });

    it('is that of app.of', async () => {
      const before = [await countIn(one), await countIn(two)];
      await one.app.of(Invoice).create();
      await two.app.of(Invoice).create();
      await two.app.of(Invoice).create();
      expect([await countIn(one), await countIn(two)]).toEqual([before[0]! + 1, before[1]! + 2]);
      expect([await one.app.of(Invoice).count(), await two.app.of(Invoice).count()]).toEqual([await countIn(one), await countIn(two)]);
    });

    it('is that of app.run, also after an await and nested', async () => {
      const [a, b, c] = await one.app.run(async () => {
        const first = await Invoice.create();
        const inner = await two.app.run(() => Invoice.create());
        return [first, inner, await Invoice.create()] as const;
      });
      const inOne = await one.app.of(Invoice).find({ id: { $in: [a.id, b.id, c.id] } });
      expect(new Set(inOne.map(({ id }) => id))).toEqual(new Set([a.id, c.id]));
      expect(await two.app.of(Invoice).get(b.id)).not.toBeNull();
    });

    it('is that of the EntityManager given, whatever surrounds the call', async () => {
      const em = two.app.orm.em.fork();
      const job = await one.app.run(() => Invoice.create({}, { em }));
      expect(await two.app.of(Invoice).get(job.id)).not.toBeNull();
      expect(await one.app.of(Invoice).get(job.id)).toBeNull();
      expect(await Invoice.get(job.id, { em })).toBe(job);
      expect(await Invoice.get(job.id, { em: one.app.orm.em.fork() })).toBeNull();
    });

    it('is the job’s own: each runs with the handler and in the database of its application', async () => {
      using _one = handling(one, 'one');
      using _two = handling(two, 'two');
      const [a, b] = [await one.app.of(Invoice).create(), await two.app.of(Invoice).create()];
      await two.app.run(() => a.enqueue());
      await one.app.run(() => b.enqueue());
      expect([a.note, b.note]).toEqual(['one', 'two']);
      expect((await one.db.query('select note from invoice where id = $1', [a.id])).rows).toEqual([{ note: 'one' }]);
      expect((await two.db.query('select note from invoice where id = $1', [b.id])).rows).toEqual([{ note: 'two' }]);
      await expect(a.refresh()).resolves.toBe(a);
      await expect(b.wait()).resolves.toBe(b);
    });

    it('is that of the job also after its EntityManager was cleared', async () => {
      const em = one.app.orm.em.fork();
      const job = await Invoice.create({ note: 'x' }, { em });
      em.clear();
      expect(await job.revoke()).toBe('REVOKED');
    });

    it('is that of the surrounding handler', async () => {
      using _ = two.app.handle(Receipt, async () => ({ id: (await Invoice.create()).id }));
      const job = await two.app.of(Receipt).enqueue({ amount: 1 });
      expect(job.errorMessage ?? null).toBeNull();
      expect(await two.app.of(Invoice).get((job.output as { id: string }).id)).not.toBeNull();
    });

    it('keeps their transactions apart', async () => {
      await one.app.orm.em.fork().transactional(async () => {
        const job = await two.app.of(Invoice).create({ note: 'not in that transaction' });
        expect((await two.db.query('select note from invoice where id = $1', [job.id])).rows).toHaveLength(1);
      });
    });

    it('is no application when the EntityManager is of none', async () => {
      await using database = await freshDatabase();
      const orm = await MikroORM.init(
        ormConfig({ clientUrl: database.url, contextName: 'foreign', entities: [Customer, ...jobs(...CLASSES)] }),
      );
      try {
        const em = orm.em.fork();
        expect(() => Invoice.create({}, { em })).toThrow(expect.objectContaining({ code: 'app.not_connected' }));
        await orm.schema.create();
        const foreign = em.create(Invoice, { note: 'x' });
        await em.flush();
        await expect(one.app.run(() => foreign.enqueue())).rejects.toMatchObject({ code: 'app.not_connected' });
      } finally {
        await orm.close();
      }
    });

    it('is not that of another one once the job’s own was closed', async () => {
      const three = await openInline({ name: 'three' });
      const job = await three.app.of(Invoice).create();
      const bound = three.app.of(Invoice);
      await three[Symbol.asyncDispose]();
      const refusal = { code: 'app.closed', message: expect.stringContaining("'three'") as string };
      await expect(one.app.run(() => job.enqueue())).rejects.toMatchObject(refusal);
      await expect(one.app.run(() => job.revoke())).rejects.toMatchObject(refusal);
      await expect(one.app.run(() => job.save())).rejects.toMatchObject(refusal);
      for (const call of [() => bound.create(), () => bound.get(NOWHERE), () => bound.enqueueMany([{}]), () => three.app.worker()])
        await expect((async (): Promise<unknown> => call())()).rejects.toMatchObject(refusal);
    });
  });

  it('is the only open one', async () => {
    await using shop = await openInline();
    const job = await Invoice.create();
    expect(await countIn(shop)).toBe(1);
    expect(await Invoice.get(job.id)).not.toBeNull();
  });

  it('is an error when none is open', async () => {
    const refusal = expect.objectContaining({ code: 'app.not_connected' }) as Error;
    expect(() => Invoice.create()).toThrow(refusal);
    expect(() => Invoice.enqueueMany([{}])).toThrow(refusal);
    await expect(new Invoice().enqueue()).rejects.toMatchObject({ code: 'app.not_connected' });
    const shop = await openInline();
    const late = await shop.app.run(async () => {
      await shop[Symbol.asyncDispose]();
      return () => Invoice.create();
    });
    expect(late).toThrow(refusal);
  });

  it('refuses an ORM whose context name another open application has', async () => {
    await using one = await freshDatabase();
    await using two = await freshDatabase();
    const init = (clientUrl: string, contextName?: string) =>
      MikroORM.init(ormConfig({ clientUrl, entities: [Customer, ...jobs(...CLASSES)], ...(contextName ? { contextName } : {}) }));
    const orms = [await init(one.url), await init(two.url), await init(two.url, 'second')];
    const options = { log: pino({ level: 'silent' }), settings: readSettings({}, { engine: 'inline' }) };
    try {
      await using _first = await AsyncJobs.connect({ engine: 'inline', orm: orms[0]! }, options);
      await expect(AsyncJobs.connect({ engine: 'inline', orm: orms[1]! }, options)).rejects.toMatchObject({ code: 'app.context_name' });
      await using _second = await AsyncJobs.connect({ engine: 'inline', orm: orms[2]! }, options);
    } finally {
      for (const orm of orms) await orm.close();
    }
  });
});
