// What must compile, and what must not (@ts-expect-error), against signatures.ts.
import { defineEntity } from '@mikro-orm/core';
import { MikroORM, defineConfig as ormConfig, type EntityManager } from '@mikro-orm/postgresql';
import { asyncJob, AsyncJobs, defineConfig, jobs, p, type JobClass, type JobOptions } from '../../src/index.ts';
type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <T extends true>(): void => void (0 as unknown as T);

const CustomerSchema = defineEntity({ name: 'Customer', properties: { id: p.integer().primary(), name: p.text() } });
class Customer extends CustomerSchema.class {}
CustomerSchema.setClass(Customer);

class Invoice extends asyncJob('Invoice', { customer: () => p.manyToOne(Customer), amount: p.integer(), note: p.text().nullable() }) {
  static override defaultQueue = 'billing';
  static override options: JobOptions = { runTimeout: '10 minutes', priority: 3 };
  declare output?: { url: string } | null;
  declare checkpoint?: { page: number } | null;
  get label(): string { return `invoice of ${this.amount}`; }
}
class Note extends asyncJob('Note', { text: p.text().nullable() }) {}
class Built extends asyncJob('Built', { a: p.integer() }) { constructor(a: number) { super(); this.a = a; } }
// @ts-expect-error a column of the base
class Clash extends asyncJob('Clash', { queue: p.integer() }) {}
// @ts-expect-error unknown option
const wrong: JobOptions = { prioritty: 3 };
// @ts-expect-error not a duration
const wrong2: JobOptions = { runTimeout: '10 mins' };

Invoice.handler(async (task, job) => {
  is<Eq<typeof job, Invoice>>();
  await task.saveCheckpoint({ page: (task.checkpoint?.page ?? 0) + 1 });
  await task.em.execute('select 1');
  return { url: job.note ?? '' };
}, { populate: ['customer'] });
// @ts-expect-error wrong output
Invoice.handler(() => ({ wrong: 1 }));
Built.handler((_, job) => { is<Eq<typeof job, Built>>(); });

export async function application(em: EntityManager, customer: Customer): Promise<void> {
  const a = await Invoice.create({ customer, amount: 1 }, { em }); is<Eq<typeof a, Invoice>>();
  const b = await a.enqueue({ queue: 'q', em }); is<Eq<typeof b, Invoice>>();
  await Invoice.enqueue({ customer: 7, amount: 1 }, { delay: '5 minutes' });
  await Note.create(); await Note.enqueue(undefined, { delay: '5 minutes' });
  const [found] = await Invoice.find({ customer: { name: 'x' }, status: 'PENDING' }, { populate: ['customer'], em });
  found?.customer.name; found?.output?.url; await found?.enqueue();
  const all: JobClass[] = [Invoice, Note, Built]; void all;
  // @ts-expect-error amount is missing
  await Invoice.create({ customer: 7 });
  // @ts-expect-error no data at all
  await Invoice.create();
  // @ts-expect-error an option among the data
  await Note.enqueue({ delay: '5 minutes' });
  // @ts-expect-error lifecycle columns are not input
  await Note.create({ status: 'SUCCESS' });
  // @ts-expect-error nor assignable
  a.status = 'SUCCESS';
}
export async function bootstrap(): Promise<void> {
  const options = ormConfig({ dbName: 'x', entities: [Customer, ...jobs(Invoice, Note, Built)] });
  await using app = await AsyncJobs.connect(defineConfig({ name: 'shop', orm: options, handlers: ['jobs/**/handlers.ts'] }));
  defineConfig({ orm: new MikroORM(options) }); defineConfig({ orm: () => MikroORM.init(options) });
  using note = app.handle(Note, async () => {}); void note;
  await using worker = await app.worker({ queues: ['billing'], concurrency: 10 });
  await worker.run();
}
void Clash; void wrong; void wrong2;
