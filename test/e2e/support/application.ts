// The fixture application, open in the test's own process as in a web process, and its workers as child processes.
import { randomBytes } from 'node:crypto';
import { AsyncJobs, type AsyncJob, type Config } from 'asyncjob';
import pg from 'pg';
import pino from 'pino';
import { freshDatabase, temporalAddress } from '../../support/servers.ts';
import { until } from '../../support/until.ts';
import appConfig from '../fixtures/app/asyncjob.config.ts';
import type ormConfig from '../fixtures/app/mikro-orm.config.ts';
import { fixture, PATIENCE_MS, startCli, type Child } from './cli.ts';

export interface Happening {
  jobId: string;
  attempt: number;
  pid: number;
  what: string;
  at: Date;
}

export interface OpenOptions {
  databaseUrl?: string;
  temporalAddress?: string;
  /** False when the database has them. @default true */
  createTables?: boolean;
  /** Another one than fixtures/app. */
  fixture?: { folder: string; config: Config };
}

export interface TestApplication extends AsyncDisposable {
  readonly app: AsyncJobs;
  readonly db: pg.Pool;
  /** By which a child process finds the same application. */
  readonly env: Record<string, string>;
  /** `asyncjob worker …args` in a process of its own; hold it with `await using`. */
  startWorker(args?: readonly string[], env?: Record<string, string>): Child;
  /** The same, once it takes jobs. */
  readyWorker(args?: readonly string[], env?: Record<string, string>): Promise<Child>;
  /** What handlers really did, in order; of one job, or of all. */
  happenings(job?: AsyncJob): Promise<Happening[]>;
  /** Resolves when a handler of the job has done `what` (in that attempt, in that worker). */
  happened(job: AsyncJob, what: string, where?: { attempt?: number; by?: Child }): Promise<Happening>;
  /** Lets a Step or Letter end. */
  release(...jobs: AsyncJob[]): Promise<void>;
  /** Resolves when the job is SUCCESS, FAILURE or REVOKED, with it as it is then. */
  settled<T extends AsyncJob>(job: T): Promise<T>;
  /** Outcomes of the attempts that did not simply succeed, in order. */
  history(job: AsyncJob): Promise<string[]>;
}

export async function openApplication(options: OpenOptions = {}): Promise<TestApplication> {
  const database = options.databaseUrl === undefined ? await freshDatabase() : null;
  const databaseUrl = options.databaseUrl ?? database!.url;
  const address = options.temporalAddress ?? temporalAddress();
  const { folder, config } = options.fixture ?? { folder: fixture('app'), config: appConfig };
  const name = `e2e-${randomBytes(4).toString('hex')}`;
  const app = await AsyncJobs.connect(
    { ...config, name, temporal: { address, namespace: 'default' }, orm: { ...(config.orm as typeof ormConfig), clientUrl: databaseUrl } },
    { log: pino({ level: process.env['TEST_LOG'] ?? 'silent' }) },
  );
  if (options.createTables ?? true) await app.orm.schema.create();
  const db = new pg.Pool({ connectionString: databaseUrl, max: 3 });
  // Of tests that take the server away, and of connections that are being closed when the database is dropped.
  db.on('error', () => {}).on('connect', (client) => client.on('error', () => {}));
  const env = {
    APP_NAME: name,
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: 'default',
    ASYNCJOB_WORKER_TTL: '2 seconds',
    ASYNCJOB_RELAY_INTERVAL: '200ms',
  };
  const startWorker = (args: readonly string[] = [], more: Record<string, string> = {}) =>
    startCli(['worker', ...args], { env: { ...env, ...more }, cwd: folder });

  const happenings = async (job?: AsyncJob): Promise<Happening[]> => {
    const { rows } = await db.query<Happening>(
      `select job_id as "jobId", attempt, pid, what, at from happening where $1::uuid is null or job_id = $1 order by id`,
      [job?.id ?? null],
    );
    return rows;
  };
  return {
    app,
    db,
    env,
    startWorker,
    async readyWorker(args, more) {
      const worker = startWorker(args, more);
      await worker.line('ready');
      return worker;
    },
    happenings,
    happened: (job, what, { attempt, by } = {}) =>
      until(
        async () =>
          (await happenings(job)).find(
            (each) => each.what === what && each.attempt === (attempt ?? each.attempt) && each.pid === (by?.pid ?? each.pid),
          ),
        { what: `${job.id}: '${what}'`, timeoutMs: PATIENCE_MS },
      ),
    async release(...jobs) {
      for (const { id } of jobs) {
        await db.query('update step set released = true where id = $1', [id]);
        await db.query('update letter set released = true where id = $1', [id]);
      }
    },
    settled: (job) => job.wait({ timeout: PATIENCE_MS }),
    async history(job) {
      const { rows } = await db.query<{ outcome: string }>('select outcome from async_job_attempt where job_id = $1 order by id', [job.id]);
      return rows.map(({ outcome }) => outcome);
    },
    async [Symbol.asyncDispose]() {
      await app.close();
      await db.end();
      await database?.drop();
    },
  };
}

/** The largest number of handlers that were at work at the same time. */
export function mostAtOnce(happenings: readonly Happening[]): number {
  let now = 0;
  let most = 0;
  for (const { what } of happenings) most = Math.max(most, (now += what === 'began' ? 1 : -1));
  return most;
}

/** Starts one worker after the other until the job is settled; the signals by which those ended that it killed. */
export async function workersKilledBy(shop: TestApplication, job: AsyncJob, args: readonly string[]): Promise<(NodeJS.Signals | null)[]> {
  const signals: (NodeJS.Signals | null)[] = [];
  while (!(await job.refresh()).isFinished) {
    await using worker = shop.startWorker(args);
    await until(async () => worker.endedAt !== null || (await job.refresh()).isFinished, {
      what: 'a crash or an end',
      timeoutMs: PATIENCE_MS,
    });
    if (worker.endedAt === null) break;
    signals.push((await worker.end()).signal);
  }
  return signals;
}
