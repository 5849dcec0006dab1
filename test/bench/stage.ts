// One contestant at work: a fresh database, a fresh Temporal, a producer and workers. It also judges whether what ran
// here is a result: every job handled once, every row SUCCESS, every workflow completed.
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { startTemporal } from '../../src/dev/index.ts';
import type { ProducerCommands, WorkerCommands } from './child.ts';
import { ChildProcess, type ChildOptions } from './child-process.ts';
import { TABLE, type Surroundings } from './contestants/contestant.ts';
import { entryOf, type ContestantName, type Entry } from './contestants/index.ts';
import { now } from './measure/clock.ts';
import type { CounterSources } from './measure/counters.ts';
import type { Part } from './measure/meter.ts';
import type { Servers } from './servers.ts';

export interface StageOptions {
  contestant: ContestantName;
  /** @default 50 */
  concurrency?: number;
  /** Worker processes; `0`: none before `startWorkers()`. @default 1 */
  workers?: number;
  /** @default 1 */
  queues?: number;
  /** @default 0: a few bytes */
  noteBytes?: number;
  progress?: Surroundings['progress'];
  /** Database of which its own becomes a copy. */
  template?: string;
  /** A database that is there already, and stays. @default one of its own */
  database?: string;
  /** Folder for V8's CPU profiles of producers and workers. */
  cpuProfiles?: string | undefined;
}

const LOOK_EVERY_MS = 20;
const PATIENCE_MS = 60_000;
const PATIENCE_PER_JOB_MS = 1_000;

let opened = 0;

interface Parts {
  contestant: ContestantName;
  producer: ChildProcess<ProducerCommands>;
  startWorker: () => Promise<ChildProcess<WorkerCommands>>;
  client: Client;
  db: pg.Pool;
  /** The newest of the rows that were there before; null: there were none. */
  newestBefore: string | null;
  counters: CounterSources;
  serverPids: Record<'temporal' | 'postgres', number>;
  cleanUp: AsyncDisposableStack;
}

export class Stage implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #workers: ChildProcess<WorkerCommands>[] = [];
  #jobs = 0;

  static async open(servers: Servers, options: StageOptions): Promise<Stage> {
    const { contestant, concurrency = 50, workers = 1, queues = 1, noteBytes = 0, progress = null, template, cpuProfiles } = options;
    await using cleanUp = new AsyncDisposableStack();
    const number = ++opened;
    const database = options.database ?? `bench_${number}`;
    const [temporal] = await Promise.all([
      startTemporal({ cli: servers.temporalCli, ui: false, dbFile: path.join(servers.folder, `temporal-${number}.sqlite`) }),
      options.database === undefined ? servers.createDatabase(database, template) : undefined,
    ]);
    cleanUp.defer(async () => {
      await temporal.kill9(); // nobody keeps its data
      await temporal.stop();
      if (options.database === undefined) await servers.admin.query(`drop database ${database} with (force)`);
    });
    const db = cleanUp.adopt(new pg.Pool({ connectionString: servers.urlOf(database, 'superuser'), max: 2 }), (pool) => pool.end());
    const connection = cleanUp.adopt(await Connection.connect({ address: temporal.address }), (open) => open.close());
    const client = new Client({ connection });
    const surroundings: Surroundings = {
      databaseUrl: servers.urlOf(database),
      temporalAddress: temporal.address,
      concurrency,
      workflowBundle: servers.workflowBundle,
      queues,
      noteBytes,
      progress,
    };
    let owner = cleanUp;
    const start = async <C>(role: ChildOptions['role']) =>
      owner.use(await ChildProcess.start<C>({ role, contestant, surroundings, cpuProfiles }));
    // First the producer, because it makes the tables.
    const producer = await start<ProducerCommands>('producer');
    const stage = new Stage({
      contestant,
      newestBefore: template === undefined ? null : await newestRow(db),
      producer,
      startWorker: () => start<WorkerCommands>('worker'),
      client,
      db,
      counters: { admin: servers.admin, database, role: servers.role, temporalPid: temporal.pid, client },
      serverPids: { temporal: temporal.pid, postgres: servers.postgres.pid },
      cleanUp,
    });
    await stage.startWorkers(workers);
    owner = stage.#parts.cleanUp = cleanUp.move();
    return stage;
  }

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  get producer(): ChildProcess<ProducerCommands> {
    return this.#parts.producer;
  }

  get workers(): readonly ChildProcess<WorkerCommands>[] {
    return this.#workers;
  }

  get client(): Client {
    return this.#parts.client;
  }

  /** A superuser's connections to the contestant's database. */
  get db(): pg.Pool {
    return this.#parts.db;
  }

  get counters(): CounterSources {
    return this.#parts.counters;
  }

  get entry(): Entry {
    return entryOf(this.#parts.contestant);
  }

  /** The process trees whose CPU is measured. */
  get roots(): Record<Part, number[]> {
    const { producer, serverPids } = this.#parts;
    const { temporal, postgres } = serverPids;
    return { producer: [producer.pid], worker: this.#workers.map(({ pid }) => pid), temporal: [temporal], postgres: [postgres] };
  }

  async startWorkers(count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.#workers.push(await this.#parts.startWorker());
  }

  /** Numbers for the next `count` jobs; returns the first. */
  take(count: number): number {
    this.#jobs += count;
    return this.#jobs - count;
  }

  /** As it is when autovacuum and the checkpointer happen to have run, so that figures do not depend on when they do. */
  async settle(): Promise<void> {
    await this.db.query('vacuum analyze');
    await this.db.query('checkpoint');
  }

  /**
   * Resolves when all jobs so far have come to their end: rows SUCCESS and workflows completed.
   *
   * @throws Error when that takes too long, or when it is not so: no figure from a broken run
   */
  async allDone(): Promise<void> {
    const patienceMs = PATIENCE_MS + PATIENCE_PER_JOB_MS * this.#jobs;
    const endsAt = now() + patienceMs;
    // Workers know it by themselves, so that nobody asks the servers while they are busy.
    while ((await this.#runs()) < this.#jobs || !(await this.#isAllDone())) {
      if (now() > endsAt) throw new Error(`not done within ${patienceMs} ms: ${await this.#whereAllAre()}`);
      await sleep(LOOK_EVERY_MS);
    }
    const runs = await this.#runs();
    if (runs !== this.#jobs) throw new Error(`${this.#jobs} jobs, but handlers ran ${runs} times`);
  }

  /** When the handlers of jobs `first`, `first + 1`, … ran. */
  async startTimes(first: number, count: number): Promise<number[]> {
    const [one, ...others] = await Promise.all(this.#workers.map((worker) => worker.call('startTimes', first, count)));
    return one!.map((time, i) => time ?? others.map((times) => times[i]).find((other) => other !== undefined && other !== null)!);
  }

  async #runs(): Promise<number> {
    const counts = await Promise.all(this.#workers.map((worker) => worker.call('runs')));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #isAllDone(): Promise<boolean> {
    if (this.entry.hasRow && (await this.#countRows(`status in ('NEW', 'PENDING', 'STARTED', 'FAILURE', 'REVOKED')`)) > 0) return false;
    if (!(await this.#areExecutionsDone())) return false;
    return !this.entry.hasRow || (await this.#countRows(`status = 'SUCCESS'`)) === this.#jobs;
  }

  async #areExecutionsDone(): Promise<boolean> {
    const { perJob = 'workflow' } = this.entry;
    if (perJob === null) return true; // a workflow of many waits a little for more
    const { count } = await this.client[perJob].count(`ExecutionStatus = 'Completed'`);
    return count === this.#jobs;
  }

  /** Of the jobs of this stage: to count rows that were there before would cost more than the jobs. */
  async #countRows(where: string): Promise<number> {
    const text = `select count(*)::int as count from ${TABLE} where ${where} and ($1::uuid is null or id > $1)`;
    const { rows } = await this.db.query<{ count: number }>(text, [this.#parts.newestBefore]);
    return rows[0]!.count;
  }

  async #whereAllAre(): Promise<string> {
    const workflows = await this.client.workflow.count('GROUP BY ExecutionStatus');
    const states = workflows.groups.map(({ count, groupValues }) => `${count} ${String(groupValues[0])}`);
    if (!this.entry.hasRow) return `workflows: ${states.join(', ')}`;
    const { rows } = await this.db.query<{ status: string; count: number }>(
      `select status, count(*)::int as count from ${TABLE} group by status`,
    );
    return `workflows: ${states.join(', ')}; rows: ${rows.map(({ status, count }) => `${count} ${status}`).join(', ')}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.cleanUp.disposeAsync();
  }
}

async function newestRow(db: pg.Pool): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>(`select id::text as id from ${TABLE} order by id desc limit 1`);
  return rows[0]?.id ?? null;
}
