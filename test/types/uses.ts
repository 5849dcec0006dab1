// What must compile, and what must not (@ts-expect-error). It is not run: `tsc` checks it against the sources, and
// test/e2e/types-consumer.test.ts against the built types.
import { defineEntity, PrimaryKeyProp, type Opt } from '@mikro-orm/core';
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/es';
import { MikroORM, defineConfig as ormConfig, type EntityManager } from '@mikro-orm/postgresql';
import {
  AsyncJob,
  AsyncJobAttempt,
  AsyncJobError,
  AsyncJobs,
  AsyncJobView,
  asyncJob,
  AttemptStopped,
  defineConfig,
  GiveUp,
  jobs,
  p,
  RetryAfter,
  type Config,
  type Duration,
  type ErrorCode,
  type JobClass,
  type JobHandler,
  type JobInput,
  type JobOptions,
  type Status,
} from '../../src/index.ts';

type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <_T extends true>(): void => undefined;

const CustomerSchema = defineEntity({ name: 'Customer', properties: { id: p.integer().primary(), name: p.text() } });
class Customer extends CustomerSchema.class {}
CustomerSchema.setClass(Customer);

// ---------------------------------------------------------------------------------------------- classes with the helper

class Invoice extends asyncJob('Invoice', {
  customer: () => p.manyToOne(Customer),
  amount: p.integer(),
  currency: p.string().length(3).default('EUR'),
  note: p.text().nullable(),
}) {
  static override defaultQueue = 'billing';
  static override options: JobOptions = {
    retry: { maximumAttempts: 3, initialInterval: '30 seconds', nonRetryable: ['ValidationError'] },
    runTimeout: '10 minutes',
    totalTimeout: null,
    heartbeatTimeout: 30_000,
    priority: 3,
  };
  declare output?: { url: string } | null;
  declare checkpoint?: { page: number } | null;
  get label(): string {
    return `invoice of ${this.amount}`;
  }
  total(): number {
    return this.amount;
  }
}
class Note extends asyncJob('Note', { text: p.text().nullable() }, { tableName: 'notes', schema: 'office' }) {}
class Built extends asyncJob('Built', { a: p.integer() }) {
  constructor(a: number) {
    super();
    this.a = a;
  }
}
abstract class Untouched extends AsyncJob {}

// @ts-expect-error a column of the base
class ClashWithColumn extends asyncJob('ClashWithColumn', { queue: p.integer() }) {}
// @ts-expect-error a method of the base
class ClashWithMethod extends asyncJob('ClashWithMethod', { enqueue: p.integer() }) {}
// @ts-expect-error a getter of the base
class ClashWithGetter extends asyncJob('ClashWithGetter', { isBusy: p.boolean() }) {}
// @ts-expect-error a queue is text
class WrongQueue extends asyncJob('WrongQueue', {}) {
  static override defaultQueue = 7;
}
class WrongOptions extends asyncJob('WrongOptions', {}) {
  static override options: JobOptions = {
    // @ts-expect-error unknown option
    prioritty: 3,
  };
}
// @ts-expect-error unknown option of retry
const retrying: JobOptions = { retry: { maxAttempts: 3 } };
class Misspelled extends asyncJob('Misspelled', {}) {
  // @ts-expect-error override notices what is not in the base
  static override defualtQueue = 'q';
}
// @ts-expect-error from 1 to 5
const urgent: JobOptions = { priority: 6 };
// @ts-expect-error a limit of time may be lifted, the heartbeat not
const heartless: JobOptions = { heartbeatTimeout: null };

const lanes: JobOptions[] = [{ lane: true }, { lane: false }, { lane: { concurrency: 60, linger: '5 seconds' } }];
// @ts-expect-error unknown option of a lane
const wrongLane: JobOptions = { lane: { size: 3 } };

const durations: Duration[] = [250, '250ms', '30s', '1 second', '5 minutes', '2 hours', '1 day', '1.5h'];
// @ts-expect-error no unit
const bare: Duration = '30';
// @ts-expect-error not a unit
const fortnight: Duration = '1 fortnight';

// ---------------------------------------------------------------------------------------------- decorated classes

@Entity()
class Thumbnail extends AsyncJob {
  static override jobType = 'Thumbnail';
  static override defaultQueue = 'media';

  @Property({ type: 'text' })
  source!: string;

  @Property({ type: 'integer', default: 128 })
  width: Opt<number> = 128;

  @Property({ type: 'text', nullable: true })
  path?: string | null;

  @ManyToOne(() => Customer, { nullable: true })
  owner?: Customer | null;

  declare output?: { bytes: number } | null;

  get isLarge(): boolean {
    return this.width > 1_000;
  }

  shrink(): void {
    this.width /= 2;
  }
}

@Entity()
class Picture {
  [PrimaryKeyProp]?: 'id';
  @PrimaryKey({ type: 'integer' })
  id!: number;
}

// ---------------------------------------------------------------------------------------------- handlers

Invoice.handler(
  async (task, job) => {
    is<Eq<typeof job, Invoice>>();
    is<Eq<typeof task.checkpoint, { page: number } | null>>();
    is<Eq<typeof task.em, EntityManager>>();
    is<Eq<typeof task.signal, AbortSignal>>();
    const identity: [string, string, string, number, number] = [task.id, task.jobType, task.queue, task.run, task.attempt];
    task.log.info({ identity }, 'at work');
    task.log.child({ page: 1 }).debug({}, 'deeper');
    task.progress(0.5);
    task.progress({ current: 3, total: 10 }, 'page 3');
    task.heartbeat({ anything: true });
    await task.saveCheckpoint({ page: (task.checkpoint?.page ?? 0) + 1 });
    // @ts-expect-error not the type that the class declares
    await task.saveCheckpoint({ side: 1 });
    // @ts-expect-error no checkpoint is no checkpoint
    await task.saveCheckpoint(null);
    // @ts-expect-error it is stored by saveCheckpoint
    task.checkpoint = { page: 1 };
    // @ts-expect-error a message without how much
    task.progress('half');
    // @ts-expect-error a pino logger takes an object first
    task.log.info('text');
    await task.em.execute('select 1');
    if (task.signal.reason instanceof AttemptStopped && task.signal.reason.reason === 'revoked') throw task.signal.reason;
    if (job.amount < 0) throw new GiveUp('nothing to pay', { cause: job.amount });
    if (job.amount > 1_000) throw new RetryAfter('5 minutes', 'the bank is busy', { cause: job.amount });
    if (job.amount > 100) throw new RetryAfter(1_000);
    return { url: job.note ?? '' };
  },
  { populate: ['customer'] },
);
// @ts-expect-error wrong output
Invoice.handler(() => ({ wrong: 1 }));
// @ts-expect-error wrong output of an async handler
Invoice.handler(async () => ({ wrong: 1 }));
Invoice.handler(() => {});
Invoice.handler(async () => null);
Note.handler(async (task) => {
  is<Eq<typeof task.checkpoint, {} | null>>();
  await task.saveCheckpoint('anything but nothing');
  return ['anything'];
});
Built.handler((_, job) => {
  is<Eq<typeof job, Built>>();
});
Thumbnail.handler((_, job) => {
  is<Eq<typeof job, Thumbnail>>();
  return { bytes: job.width };
});
const handlerOfItsOwn: JobHandler<Invoice> = async (task, job) => ({ url: `${task.id}${job.label}` });
Invoice.handler(handlerOfItsOwn);

// ---------------------------------------------------------------------------------------------- create and enqueue

export async function application(em: EntityManager, customer: Customer): Promise<void> {
  const a = await Invoice.create({ customer, amount: 1 }, { em });
  is<Eq<typeof a, Invoice>>();
  const b = await a.enqueue({ queue: 'q', em });
  is<Eq<typeof b, Invoice>>();
  await Invoice.create({ id: '0192d3c8-7a3e-7c3a-9d5e-0a1b2c3d4e5f', customer: 7, amount: 1, currency: 'USD', note: null });
  await Invoice.enqueue({ customer: 7, amount: 1 }, { delay: '5 minutes', priority: 1 });
  await Note.create();
  await Note.create({ text: 'x' });
  await Note.enqueue(undefined, { runAt: new Date() });

  // @ts-expect-error amount is missing
  await Invoice.create({ customer: 7 });
  // @ts-expect-error no data at all
  await Invoice.create();
  // @ts-expect-error no data at all
  await Invoice.enqueue();
  // @ts-expect-error a column that does not exist
  await Invoice.create({ customer: 7, amount: 1, amuont: 1 });
  // @ts-expect-error a value of another type
  await Invoice.create({ customer: 7, amount: '1' });
  // @ts-expect-error a getter is no input
  await Invoice.create({ customer: 7, amount: 1, label: 'x' });
  // @ts-expect-error a method is no input
  await Invoice.create({ customer: 7, amount: 1, total: () => 1 });
  // @ts-expect-error the output is the handler's
  await Invoice.create({ customer: 7, amount: 1, output: { url: '' } });
  // @ts-expect-error an option among the data
  await Note.enqueue({ delay: '5 minutes' });
  // @ts-expect-error lifecycle columns are no input
  await Note.create({ status: 'SUCCESS' });
  // @ts-expect-error enqueue options are none of create
  await Note.create({}, { delay: '5 minutes' });
  // @ts-expect-error unknown option
  await a.enqueue({ dealy: '5 minutes' });
  // @ts-expect-error not a duration
  await a.enqueue({ delay: 'soon' });
  // @ts-expect-error a Date, not text
  await a.enqueue({ runAt: '2030-01-01' });
  // @ts-expect-error from 1 to 5
  await a.enqueue({ priority: 0 });
}

export async function many(em: EntityManager): Promise<void> {
  const ids = await Invoice.enqueueMany([{ customer: 7, amount: 1 }], { em, queue: 'bulk' });
  is<Eq<typeof ids, string[]>>();
  await Note.enqueueMany(new Set([{ text: 'a' }, {}]));
  await Note.enqueueMany(
    (function* () {
      yield { text: 'b' };
    })(),
  );
  // @ts-expect-error amount is missing in a row
  await Invoice.enqueueMany([{ customer: 7 }]);
  // @ts-expect-error one row is no list
  await Note.enqueueMany({ text: 'a' });
  // @ts-expect-error lifecycle columns are no input
  await Note.enqueueMany([{ queue: 'x' }]);
}

export async function manyThatMatch(em: EntityManager): Promise<void> {
  const revoked = await Invoice.revokeMany({ status: 'PENDING', customer: { name: 'x' } }, { reason: 'r', by: 'b', terminate: true, em });
  is<Eq<typeof revoked, string[]>>();
  const retried = await Invoice.retryMany({ status: 'FAILURE', amount: { $gt: 1 } }, { queue: 'q', delay: '1h', priority: 5, em });
  is<Eq<typeof retried, string[]>>();
  await Thumbnail.revokeMany({});
  await Thumbnail.retryMany({ source: { $like: '%.png' } }, { runAt: new Date() });
  // @ts-expect-error which ones?
  await Invoice.revokeMany();
  // @ts-expect-error which ones?
  await Invoice.retryMany(undefined);
  // @ts-expect-error no such column
  await Invoice.revokeMany({ amuont: 1 });
  // @ts-expect-error no such status
  await Invoice.retryMany({ status: 'FAILED' });
  // @ts-expect-error options of the other one
  await Invoice.revokeMany({}, { delay: '1h' });
  // @ts-expect-error options of the other one
  await Invoice.retryMany({}, { reason: 'r' });
}

export async function decorated(customer: Customer): Promise<void> {
  const thumbnail = await Thumbnail.create({ source: 'a.png' });
  is<Eq<typeof thumbnail, Thumbnail>>();
  is<Eq<typeof thumbnail.width, Opt<number>>>();
  await Thumbnail.create({ source: 'a.png', width: 64, path: null, owner: customer });
  await Thumbnail.enqueue({ source: 'a.png' }, { queue: 'q' });
  await Thumbnail.enqueueMany([{ source: 'a.png' }]);
  // @ts-expect-error source is missing
  await Thumbnail.create({ width: 64 });
  // @ts-expect-error no data at all
  await Thumbnail.create();
  // @ts-expect-error a getter is no input
  await Thumbnail.create({ source: 'a.png', isLarge: true });
  // @ts-expect-error a method is no input
  await Thumbnail.create({ source: 'a.png', shrink: () => undefined });
  // @ts-expect-error lifecycle columns are no input
  await Thumbnail.create({ source: 'a.png', status: 'SUCCESS' });
  // @ts-expect-error the output is the handler's
  await Thumbnail.create({ source: 'a.png', output: { bytes: 1 } });
  const input: JobInput<Thumbnail> = { source: 'a.png' };
  void input;
}

// ---------------------------------------------------------------------------------------------- reading

export async function reading(em: EntityManager): Promise<void> {
  const one = await Invoice.get('0192d3c8-7a3e-7c3a-9d5e-0a1b2c3d4e5f', { em });
  is<Eq<typeof one, Invoice | null>>();
  const latest = await Invoice.latest();
  is<Eq<typeof latest, Invoice | null>>();
  const count = await Invoice.count({ status: 'FAILURE', amount: { $gt: 10 } });
  is<Eq<typeof count, number>>();
  const [found] = await Invoice.find({ customer: { name: 'x' }, status: { $in: ['PENDING', 'STARTED'] } }, { populate: ['customer'], em });
  await found?.enqueue();
  const facts: [string | undefined, string | undefined, Date | undefined] = [found?.customer.name, found?.output?.url, found?.createdAt];
  void facts;
  const [row] = await em.find(Invoice, { amount: 1 }, { orderBy: { createdAt: 'desc' }, limit: 1 });
  await row?.refresh();
  // @ts-expect-error no such status
  await Invoice.find({ status: 'DONE' });
  // @ts-expect-error no such column
  await Invoice.find({ amuont: 1 });
  // @ts-expect-error no such relation
  await Invoice.find({}, { populate: ['costumer'] });

  const [seen] = await em.find(AsyncJobView, { jobType: 'Invoice', status: 'FAILURE' });
  const [attempt] = await em.find(AsyncJobAttempt, { jobId: seen!.id, outcome: 'crashed' });
  void attempt?.error?.stack;
}

// ---------------------------------------------------------------------------------------------- a job

export async function commands(job: Invoice, note: Note): Promise<void> {
  is<Eq<typeof job.status, Opt<Status>>>();
  is<Eq<Awaited<ReturnType<typeof job.revoke>>, Status>>();
  const settled: Invoice = await job.wait({ timeout: '5 minutes', signal: AbortSignal.timeout(1_000) });
  await settled.retry({ delay: 250 });
  await job.revoke({ reason: 'ordered twice', by: 'alice', terminate: true });
  await (await (await job.refresh()).save()).enqueue();
  const seconds: [number, number | null] = [job.waitTime(), job.runningTime()];
  const flags: boolean[] = [job.isBusy, job.isFinished, job.isSuccessful];
  const error: [string | null | undefined, string | undefined] = [job.errorMessage, job.error?.code];
  void [seconds, flags, error];
  job.amount = 2;
  job.note = null;

  // @ts-expect-error unknown option
  await job.revoke({ because: 'x' });
  // @ts-expect-error wait takes a duration
  await job.wait({ timeout: 'long' });
  // @ts-expect-error lifecycle columns are not assignable
  job.status = 'SUCCESS';
  // @ts-expect-error nor is what only the handler returns
  note.output = 1;
  // @ts-expect-error or task.saveCheckpoint() stores
  note.checkpoint = 1;
  // @ts-expect-error a number
  job.amount = '2';
}

type ReadonlyKeys<T> = {
  [K in keyof T]-?: (<X>() => X extends { [Q in K]: T[K] } ? 1 : 2) extends <X>() => X extends { readonly [Q in K]: T[K] } ? 1 : 2
    ? K
    : never;
}[keyof T];
type Methods = 'enqueue' | 'revoke' | 'retry' | 'wait' | 'refresh' | 'save' | 'waitTime' | 'runningTime';
// Whatever is no method of the base is read-only: a new lifecycle column cannot be forgotten.
is<Eq<Exclude<keyof AsyncJob, ReadonlyKeys<AsyncJob> | typeof PrimaryKeyProp>, Methods>>();
is<Eq<Extract<ReadonlyKeys<Invoice>, 'amount' | 'note' | 'customer'>, never>>();

// ---------------------------------------------------------------------------------------------- the application object

export async function bootstrap(): Promise<void> {
  const options = ormConfig({ dbName: 'x', entities: [Customer, Picture, ...jobs(Invoice, Note, Built, Thumbnail)] });
  await using app = await AsyncJobs.connect(defineConfig({ name: 'shop', orm: options, handlers: ['jobs/**/handlers.ts'] }));
  defineConfig({ orm: new MikroORM(options) });
  defineConfig({ orm: () => MikroORM.init(options) });
  defineConfig({ orm: async () => options });
  const full: Config = {
    orm: options,
    engine: 'inline',
    temporal: { address: 'localhost:7233', namespace: 'default', tls: true, apiKey: 'x' },
    defaults: { crashRetries: 1 },
    setup: async (opened) => {
      await opened.of(Note).create();
      return async () => {};
    },
  };
  defineConfig(full);
  // @ts-expect-error orm is missing
  defineConfig({ name: 'shop' });
  // @ts-expect-error unknown name
  defineConfig({ orm: options, handler: [] });
  // @ts-expect-error unknown engine
  defineConfig({ orm: options, engine: 'celery' });
  // @ts-expect-error unknown option
  defineConfig({ orm: options, defaults: { prioritty: 1 } });
  // @ts-expect-error a class's own
  defineConfig({ orm: options, defaults: { lane: true } });
  // @ts-expect-error unknown name
  defineConfig({ orm: options, temporal: { host: 'localhost' } });

  using note = app.handle(Note, async () => {});
  using invoice = app.handle(Invoice, async (task, job) => ({ url: `${task.checkpoint?.page}${job.label}` }), { populate: ['customer'] });
  void [note, invoice];
  // @ts-expect-error wrong output
  app.handle(Invoice, () => ({ wrong: 1 }));

  const bound = app.of(Invoice);
  const job = await bound.create({ customer: 7, amount: 1 });
  is<Eq<typeof job, Invoice>>();
  is<Eq<Awaited<ReturnType<typeof bound.enqueueMany>>, string[]>>();
  const [found] = await bound.find({ customer: { name: 'x' } }, { populate: ['customer'] });
  void found?.customer.name;
  is<Eq<Awaited<ReturnType<typeof bound.get>>, Invoice | null>>();
  is<Eq<Awaited<ReturnType<typeof bound.count>>, number>>();
  await bound.enqueue({ customer: 7, amount: 1 }, { delay: '1h' });
  const moved: [string[], string[]] = [await bound.revokeMany({ amount: 1 }, { by: 'b' }), await bound.retryMany({ amount: 1 })];
  void moved;
  await app.of(Note).create();
  await app.of(Thumbnail).create({ source: 'a.png' });
  // @ts-expect-error amount is missing
  await bound.create({ customer: 7 });
  // @ts-expect-error a getter is no input
  await bound.create({ customer: 7, amount: 1, label: 'x' });
  // @ts-expect-error no such status
  await bound.find({ status: 'DONE' });

  const ran: Promise<Note | null> = app.run(() => Note.latest());
  await ran;
  await app.orm.em.fork().transactional(async (em) => void (await Note.enqueue({}, { em })));
  await app.temporal.workflowService.getSystemInfo({});

  await using worker = await app.worker({ queues: ['billing'], concurrency: 10, drainTimeoutMs: 1_000 });
  await worker.run();
  await worker.shutdown();
  // @ts-expect-error unknown option
  await app.worker({ queue: 'billing' });
  await app.close();
}

const all: JobClass[] = [Invoice, Note, Built, Thumbnail, Untouched];
const codes: ErrorCode[] = ['job.move_refused', 'job.value_invalid'];
// @ts-expect-error no such code
const noCode: ErrorCode = 'job.moved';
export function matched(error: unknown): ErrorCode | null {
  return error instanceof AsyncJobError ? error.code : null;
}
void [all, codes, noCode, retrying, urgent, heartless, durations, bare, fortnight, lanes, wrongLane];
void [ClashWithColumn, ClashWithMethod, ClashWithGetter, WrongQueue, WrongOptions, Misspelled];
