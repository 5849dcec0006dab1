// The application of the integration tests: an entity of its own and job classes of several kinds, each application in
// a database of its own.
import { defineEntity } from '@mikro-orm/core';
import { defineConfig as ormConfig } from '@mikro-orm/postgresql';
import pg from 'pg';
import pino from 'pino';
import {
  asyncJob,
  AsyncJobs,
  jobs,
  p,
  type AsyncJob,
  type Config,
  type JobClass,
  type JobOptions,
  type WorkerOptions,
} from '../../src/index.ts';
import { readSettings, type SettingInputs } from '../../src/app/settings.ts';
import type { JobWorker } from '../../src/worker/index.ts';
import { executionOf, type TestExecution } from './execution.ts';
import { freshDatabase, temporalAddress } from './servers.ts';

const CustomerSchema = defineEntity({ name: 'Customer', properties: { id: p.integer().primary(), name: p.text() } });
export class Customer extends CustomerSchema.class {}
CustomerSchema.setClass(Customer);

export class SendInvoice extends asyncJob('SendInvoice', {
  amount: p.integer().default(0),
  note: p.text().nullable(),
  short: p.string().length(8).nullable(),
  data: p.json().$type<{ pages: number[] }>().nullable(),
  customer: () => p.manyToOne(Customer).nullable(),
}) {
  declare output?: { url: string } | null;
  declare checkpoint?: { page: number } | null;
  static override options: JobOptions = { heartbeatTimeout: '3 seconds' };
}

export class Flaky extends asyncJob('Flaky', { note: p.text().nullable() }) {
  static override options: JobOptions = {
    retry: { maximumAttempts: 3, initialInterval: '50ms', jitter: 0 },
    heartbeatTimeout: '3 seconds',
  };
}

export class Limited extends asyncJob('Limited', { note: p.text().nullable() }) {
  static override options: JobOptions = { runTimeout: '300ms', crashRetries: 1, heartbeatTimeout: '3 seconds' };
}

/** Many small jobs that share a workflow. */
export class Parcel extends asyncJob('Parcel', {
  weight: p.integer().nullable(),
  note: p.text().nullable(),
  short: p.string().length(8).nullable(),
  data: p.json().$type<object>().nullable(),
  tags: p.array().nullable(),
  sentAt: p.datetime().nullable(),
  bytes: p.blob().nullable(),
  doubled: p.integer().generated('(weight * 2) stored').nullable(),
}) {
  static override options: JobOptions = { lane: { concurrency: 10, linger: '300ms' }, retry: { jitter: 0 }, crashRetries: 1 };
}

export class Stamp extends asyncJob('Stamp', { note: p.text().nullable() }) {
  static override options: JobOptions = {
    lane: { concurrency: 3, linger: '300ms' },
    retry: { maximumAttempts: 3, initialInterval: '50ms', jitter: 0 },
  };
}

export class Brief extends asyncJob('Brief', { note: p.text().nullable() }) {
  static override options: JobOptions = { lane: { concurrency: 2, linger: 0 }, runTimeout: '300ms' };
}

export const LANE_CLASSES: JobClass[] = [SendInvoice, Parcel, Stamp, Brief];

export const JOB_CLASSES: JobClass[] = [SendInvoice, Flaky, Limited];

export interface Shop extends AsyncDisposable {
  app: AsyncJobs;
  /** How Temporal has a run of a job; by default of its present run. */
  execution(job: AsyncJob, run?: number): TestExecution;
  db: pg.Pool;
  databaseUrl: string;
  /** A worker that runs until the shop is disposed. */
  work(options?: WorkerOptions): Promise<JobWorker>;
}

export interface ShopOptions extends Partial<Omit<Config, 'orm'>> {
  settings?: SettingInputs;
  databaseUrl?: string;
  classes?: JobClass[];
}

/** An open application with its tables. Queues are apart from other test files by its name. */
export async function openShop({ settings, databaseUrl, classes = JOB_CLASSES, ...config }: ShopOptions = {}): Promise<Shop> {
  const database = databaseUrl === undefined ? await freshDatabase() : null;
  const url = databaseUrl ?? database!.url;
  const app = await AsyncJobs.connect(
    {
      name: `shop-${crypto.randomUUID().slice(0, 8)}`,
      temporal: { address: config.engine === 'inline' ? 'localhost:1' : temporalAddress() },
      ...config,
      orm: ormConfig({ clientUrl: url, entities: [Customer, ...jobs(...classes)] }),
    },
    {
      settings: readSettings(
        {},
        { engine: config.engine ?? 'workflow', relayIntervalMs: 100, workerTtlMs: 2_000, drainTimeoutMs: 5_000, ...settings },
      ),
      log: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
    },
  );
  if (database) await app.orm.schema.create();
  const db = new pg.Pool({ connectionString: url, max: 3 });
  // Dropping the database cuts off connections that are just being closed.
  db.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined));
  const workers: { worker: JobWorker; run: Promise<void> }[] = [];
  const engine = config.engine === 'activity' ? 'activity' : 'workflow';
  return {
    app,
    execution: (job, run) => executionOf({ app, engine }, job, run),
    db,
    databaseUrl: url,
    async work(options = {}) {
      const worker = await app.worker({ concurrency: 10, signals: false, ...options });
      const run = worker.run();
      run.catch(() => undefined);
      workers.push({ worker, run });
      return worker;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map(({ worker }) => worker.shutdown()));
      await app.close();
      await db.end();
      await database?.drop();
    },
  };
}
