// One stage for chaos: servers that can be killed, the application open in this process as in a web process, its workers
// as child processes, and everything by which the outcome can be judged.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncJobs, type AsyncJob, type JobClass } from 'asyncjob';
import pg from 'pg';
import pino from 'pino';
import type { Status } from '../../../src/domain/lifecycle.ts';
import { jobTypeOf } from '../../../src/entity/job-class.ts';
import { until } from '../../support/until.ts';
import config from '../fixtures/app/asyncjob.config.ts';
import { JOB_CLASSES } from '../fixtures/app/jobs.ts';
import ormConfig from '../fixtures/app/mikro-orm.config.ts';
import { installAudit, readMoves, type Move } from './audit.ts';
import { checkHistory, type Effect, type History, type Judgement, type Limits, type RowState } from './check-history.ts';
import { Incidents, type Freeze } from './incidents.ts';
import { PATIENCE_MS } from './patience.ts';
import { Proxy } from './proxy.ts';
import { RestartableServer } from './servers.ts';
import { AppProcess, CLI } from './worker-process.ts';

const WORKER_TTL_MS = 3_000;
/** Twice the longest pause of the server between two attempts (30 s), with the heartbeat timeouts: one attempt may be lost, too. */
const STUCK_AFTER_MS = 90_000;

export interface StageOptions {
  /** Application and workers reach the servers through proxies. @default false */
  proxies?: boolean;
}

/** The column values of a job that tests look at. */
export interface JobRow extends RowState {
  runId: string | null;
  workflowId: string | null;
  holder: string | null;
  error: { code?: string; message: string } | null;
  errorMessage: string | null;
  revokeRequestedAt: Date | null;
}

export class Stage implements AsyncDisposable {
  readonly incidents: Incidents;
  readonly postgres: Awaited<ReturnType<typeof RestartableServer.postgres>>;
  readonly temporal: Awaited<ReturnType<typeof RestartableServer.temporal>>;
  /** Only with `proxies`. */
  readonly postgresProxy: Proxy;
  readonly temporalProxy: Proxy;
  readonly app: AsyncJobs;
  /** Past the proxies. Its queries fail soon when PostgreSQL is away. */
  readonly db: pg.Pool;
  readonly folder: string;
  readonly #env: Record<string, string>;
  readonly #tables: ReadonlyMap<string, string>;
  readonly #stack: AsyncDisposableStack;
  readonly #checked = new Set<string>();
  readonly workers = new Set<AppProcess>();

  private constructor(
    parts: Pick<Stage, 'incidents' | 'postgres' | 'temporal' | 'app' | 'db' | 'folder'> & {
      proxies: [Proxy, Proxy] | null;
      env: Record<string, string>;
      tables: ReadonlyMap<string, string>;
      stack: AsyncDisposableStack;
    },
  ) {
    this.incidents = parts.incidents;
    this.postgres = parts.postgres;
    this.temporal = parts.temporal;
    [this.postgresProxy, this.temporalProxy] = parts.proxies ?? ([] as unknown as [Proxy, Proxy]);
    this.app = parts.app;
    this.db = parts.db;
    this.folder = parts.folder;
    this.#env = parts.env;
    this.#tables = parts.tables;
    this.#stack = parts.stack;
  }

  static async open({ proxies = false }: StageOptions = {}): Promise<Stage> {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-chaos-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    for (const name of ['effects', 'starved', 'released']) await mkdir(path.join(folder, name));
    const incidents = new Incidents();
    const [postgres, temporal] = await Promise.all([RestartableServer.postgres(incidents), RestartableServer.temporal(incidents)]);
    stack.use(postgres);
    stack.use(temporal);
    const through = proxies ? ([await Proxy.to(postgres.port), await Proxy.to(temporal.port)] as [Proxy, Proxy]) : null;
    for (const proxy of through ?? []) stack.use(proxy);
    const url = new URL(postgres.url);
    if (through) url.port = String(through[0].port);
    const address = through ? `127.0.0.1:${through[1].port}` : temporal.address;
    const name = `chaos-${randomBytes(4).toString('hex')}`;
    const app = await AsyncJobs.connect(
      { ...config, name, temporal: { address, namespace: 'default' }, orm: { ...ormConfig, clientUrl: url.href } },
      { log: pino({ level: process.env['TEST_LOG'] ?? 'silent' }) },
    );
    stack.defer(() => app.close());
    await app.orm.schema.create();
    const db = new pg.Pool({ connectionString: postgres.url, max: 10, connectionTimeoutMillis: 5_000, query_timeout: 30_000 });
    db.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined));
    stack.defer(() => db.end());
    const tables = new Map(JOB_CLASSES.map((jobClass) => [jobTypeOf(jobClass), app.orm.getMetadata().get(jobClass).tableName]));
    await installAudit(db, tables);
    const env = {
      APP_NAME: name,
      CHAOS_FOLDER: folder,
      DATABASE_URL: url.href,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: 'default',
      ASYNCJOB_WORKER_TTL: `${WORKER_TTL_MS}ms`,
      ASYNCJOB_RELAY_INTERVAL: '200ms',
      ASYNCJOB_RECONCILE_INTERVAL: '500ms',
      ASYNCJOB_LOG_LEVEL: process.env['TEST_LOG'] ?? 'info',
    };
    return new Stage({ incidents, postgres, temporal, proxies: through, app, db, folder, env, tables, stack: stack.move() });
  }

  /** A worker that takes jobs; it ends with the stage, or with its scope by `await using`. */
  async worker(args: readonly string[] = [], env: Record<string, string> = {}): Promise<AppProcess> {
    const worker = this.startWorker(args, env);
    await worker.line('ready');
    return worker;
  }

  /** The same without waiting until it takes jobs. */
  startWorker(args: readonly string[] = [], env: Record<string, string> = {}): AppProcess {
    const worker = new AppProcess([CLI, 'worker', '-c', '10', ...args], { ...this.#env, ...env }, this.incidents);
    this.workers.add(worker);
    return worker;
  }

  workersOf(count: number, args: readonly string[] = []): Promise<AppProcess[]> {
    return Promise.all(Array.from({ length: count }, () => this.worker(args)));
  }

  /** A module of the fixture application in a process of its own. */
  runModule(file: string): AppProcess {
    return new AppProcess([file], this.#env, this.incidents);
  }

  /** Makes good what a test that failed left broken: the next one is not to blame for it. */
  async mend(): Promise<void> {
    for (const proxy of [this.postgresProxy, this.temporalProxy].filter(Boolean)) {
      proxy.onRequest = () => undefined;
      proxy.mode = 'open';
    }
    for (const server of [this.postgres, this.temporal]) await server.mend();
  }

  async endWorkers(): Promise<void> {
    await Promise.all([...this.workers].map((worker) => worker[Symbol.asyncDispose]()));
    this.workers.clear();
  }

  /** The row as it is now; `null` while it cannot be read is an error. */
  async row(job: AsyncJob): Promise<JobRow> {
    return (await this.#rows({ ids: [job.id], jobType: typeOf(job) }))[0]!;
  }

  async #rows({ ids = null, jobType }: { ids?: readonly string[] | null; jobType?: string } = {}): Promise<JobRow[]> {
    const tables = [...this.#tables].filter(([each]) => jobType === undefined || each === jobType);
    const selects = tables.map(
      ([each, table]) => `select '${each}' as "jobType", id::text, status, run, attempt, failures, crashes, note, run_id as "runId",
        workflow_id as "workflowId", holder, error, error_message as "errorMessage", revoke_requested_at as "revokeRequestedAt"
        from ${table} where $1::uuid[] is null or id = any($1)`,
    );
    const { rows } = await this.db.query<JobRow>(selects.join(' union all '), [ids]);
    return rows;
  }

  async statusesOf(ids: readonly string[]): Promise<Map<string, Status>> {
    return new Map((await this.#rows({ ids })).map(({ id, status }) => [id, status]));
  }

  /** Rows of the jobs that were not judged yet: those of the running test. */
  async rows(): Promise<JobRow[]> {
    return (await this.#rows()).filter(({ id }) => !this.#checked.has(id));
  }

  /** How many of these jobs are in each status. */
  async counts(): Promise<Partial<Record<Status, number>>> {
    const rows = await this.rows();
    return Object.fromEntries([...Map.groupBy(rows, ({ status }) => status)].map(([status, { length }]) => [status, length]));
  }

  /** Resolves with the row once `isWanted`. */
  async until(job: AsyncJob, isWanted: (row: JobRow) => boolean, what = isWanted.toString()): Promise<JobRow> {
    const look = async () => {
      const row = await this.row(job);
      return isWanted(row) ? row : null;
    };
    return until(look, {
      what: `${typeOf(job)} ${job.id}: ${what}`,
      timeoutMs: PATIENCE_MS,
      intervalMs: 50,
    });
  }

  /** Resolves with the row when the job is settled. */
  settled(job: AsyncJob): Promise<JobRow> {
    return this.until(job, ({ status }) => ['SUCCESS', 'FAILURE', 'REVOKED'].includes(status), 'is settled');
  }

  /** Resolves when none of these jobs is open any more. */
  async quiet({ timeoutMs = PATIENCE_MS } = {}): Promise<void> {
    await until(async () => (({ PENDING = 0, STARTED = 0 }) => PENDING + STARTED === 0)(await this.counts()), {
      what: 'all jobs are settled',
      timeoutMs,
      intervalMs: 200,
    });
  }

  /** What handlers did so far, in order; of one job, or of all. */
  async effects(job?: AsyncJob): Promise<Effect[]> {
    const effects = await this.#notes<Effect>('effects');
    return effects.filter(({ jobId }) => job === undefined || jobId === job.id).sort((a, b) => a.at - b.at);
  }

  /** What worker processes noted there. */
  async #notes<T>(kind: 'effects' | 'starved'): Promise<T[]> {
    const notes: T[] = [];
    for (const file of await readdir(path.join(this.folder, kind))) {
      const lines = (await readFile(path.join(this.folder, kind, file), 'utf8')).split('\n').slice(0, -1);
      for (const line of lines) notes.push(JSON.parse(line) as T);
    }
    return notes;
  }

  /** Resolves when a handler of the job has done `what`, in that attempt. */
  happened(job: AsyncJob, what: Effect['what'], where: Partial<Effect> = {}): Promise<Effect> {
    const matches = (effect: Effect) => Object.entries({ ...where, what }).every(([name, value]) => effect[name as keyof Effect] === value);
    return until(async () => (await this.effects(job)).find(matches), {
      what: `${typeOf(job)} ${job.id}: '${what}' ${JSON.stringify(where)}`,
      timeoutMs: PATIENCE_MS,
    });
  }

  moves(job: AsyncJob): Promise<Move[]> {
    return readMoves(this.db, job.id);
  }

  /** Lets jobs go on that stay until then: Held, Watched, Pages, Greedy. */
  async release(...jobs: AsyncJob[]): Promise<void> {
    for (const { id } of jobs) await writeFile(path.join(this.folder, 'released', id), '');
  }

  /** Notes that somebody is about to ask for the end of these jobs, so that REVOKED is right. */
  asksToRevoke<T extends AsyncJob>(...jobs: T[]): T {
    for (const { id } of jobs) this.incidents.revocations.add(id);
    return jobs[0]!;
  }

  /** Ids of the executions that Temporal knows of a job, one per run and reset. */
  async executionsOf(job: AsyncJob): Promise<{ workflowId: string; runId: string }[]> {
    const executions: { workflowId: string; runId: string }[] = [];
    const query = `WorkflowId STARTS_WITH "${this.app.name}/${typeOf(job)}/${job.id}/"`;
    for await (const { workflowId, runId } of this.app.temporal.workflow.list({ query })) executions.push({ workflowId, runId });
    return executions;
  }

  /** Everything that happened on this stage. */
  async history(): Promise<History> {
    const { deaths, freezes, outages, revocations } = this.incidents;
    return {
      rows: await this.#rows(),
      moves: await readMoves(this.db),
      effects: await this.effects(),
      deaths,
      freezes: [...freezes, ...(await this.#notes<Freeze>('starved'))],
      outages,
      revocations,
      limits: LIMITS,
      workerTtlMs: WORKER_TTL_MS,
      stuckAfterMs: STUCK_AFTER_MS,
      now: Date.now(),
    };
  }

  /** Judges the jobs that were not judged before: a test answers for its own. */
  async check(): Promise<Judgement & { history: History }> {
    const all = await this.history();
    const isNew = (id: string) => !this.#checked.has(id);
    const history = {
      ...all,
      rows: all.rows.filter(({ id }) => isNew(id)),
      moves: all.moves.filter(({ jobId }) => isNew(jobId)),
      effects: all.effects.filter(({ jobId }) => isNew(jobId)),
    };
    for (const { id } of history.rows) this.#checked.add(id);
    return { ...checkHistory(history), history };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endWorkers();
    await this.#stack.disposeAsync();
  }
}

function typeOf(job: AsyncJob): string {
  return jobTypeOf(job.constructor as unknown as JobClass);
}

const LIMITS: Record<string, Limits> = Object.fromEntries(
  JOB_CLASSES.map((jobClass) => {
    const { retry, crashRetries = 3 } = jobClass.options;
    return [jobTypeOf(jobClass), { maximumAttempts: retry?.maximumAttempts ?? 1, crashRetries }];
  }),
);
