// One contestant at work: a fresh database, a fresh Temporal, a producer and a worker. It also judges whether what ran
// here is a result: every job handled once, every row SUCCESS, every workflow completed.
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { startTemporal } from '../../src/dev/index.ts';
import type { ProducerCommands, WorkerCommands } from './child.ts';
import { ChildProcess, type ChildOptions } from './child-process.ts';
import { TABLE } from './contestants/contestant.ts';
import { CONTESTANTS, type ContestantName, type Entry } from './contestants/index.ts';
import type { CounterSources } from './measure/counters.ts';
import type { Part } from './measure/meter.ts';
import type { Servers } from './servers.ts';

export interface StageOptions {
  contestant: ContestantName;
  concurrency: number;
  cpuProfiles?: string | undefined;
}

const LOOK_EVERY_MS = 20;
const PATIENCE_MS = 60_000;
const PATIENCE_PER_JOB_MS = 1_000;

let opened = 0;

export class Stage implements AsyncDisposable {
  readonly hasRow: boolean;
  readonly perJob: 'workflow' | 'activity' | null;
  readonly producer: ChildProcess<ProducerCommands>;
  readonly worker: ChildProcess<WorkerCommands>;
  readonly client: Client;
  /** A superuser's connections to the contestant's database. */
  readonly db: pg.Pool;
  readonly counters: CounterSources;
  /** The process trees whose CPU is measured. */
  readonly roots: Record<Part, number>;
  readonly #cleanUp: AsyncDisposableStack;
  #jobs = 0;

  static async open(servers: Servers, { contestant, concurrency, cpuProfiles }: StageOptions): Promise<Stage> {
    await using cleanUp = new AsyncDisposableStack();
    const database = `bench_${++opened}`;
    const [temporal] = await Promise.all([
      startTemporal({ cli: servers.temporalCli, ui: false, dbFile: path.join(servers.folder, `${database}.sqlite`) }),
      servers.admin.query(`create database ${database} owner ${servers.role}`),
    ]);
    cleanUp.defer(async () => {
      await temporal.kill9(); // nobody keeps its data
      await temporal.stop();
      await servers.admin.query(`drop database ${database} with (force)`);
    });
    const db = cleanUp.adopt(new pg.Pool({ connectionString: servers.urlOf(database, 'superuser'), max: 2 }), (pool) => pool.end());
    const connection = cleanUp.adopt(await Connection.connect({ address: temporal.address }), (open) => open.close());
    const surroundings = {
      databaseUrl: servers.urlOf(database),
      temporalAddress: temporal.address,
      concurrency,
      workflowBundle: servers.workflowBundle,
    };
    const start = async <C>(role: ChildOptions['role']) =>
      cleanUp.use(await ChildProcess.start<C>({ role, contestant, surroundings, cpuProfiles }));
    const client = new Client({ connection });
    // First the producer, because it makes the tables.
    const producer = await start<ProducerCommands>('producer');
    const worker = await start<WorkerCommands>('worker');
    const counters = { admin: servers.admin, database, role: servers.role, temporalPid: temporal.pid, client };
    const roots = { producer: producer.pid, worker: worker.pid, temporal: temporal.pid, postgres: servers.postgres.pid };
    const { hasRow, perJob = 'workflow' }: Entry = CONTESTANTS[contestant];
    return new Stage({ hasRow, perJob, producer, worker, client, db, counters, roots }, cleanUp.move());
  }

  private constructor(
    parts: Pick<Stage, 'hasRow' | 'perJob' | 'producer' | 'worker' | 'client' | 'db' | 'counters' | 'roots'>,
    cleanUp: AsyncDisposableStack,
  ) {
    ({
      hasRow: this.hasRow,
      perJob: this.perJob,
      producer: this.producer,
      worker: this.worker,
      client: this.client,
      db: this.db,
      counters: this.counters,
      roots: this.roots,
    } = parts);
    this.#cleanUp = cleanUp;
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
    const patience = new AbortController();
    const patienceMs = PATIENCE_MS + PATIENCE_PER_JOB_MS * this.#jobs;
    const late = setTimeout(() => patience.abort(), patienceMs);
    try {
      // The worker tells, so that nobody asks the servers while they are busy.
      const handled = this.worker.call('handled', this.#jobs);
      await Promise.race([handled, untilAborted(patience.signal)]);
      while (!(await this.#isAllDone())) {
        if (patience.signal.aborted) throw new Error(`not done within ${patienceMs} ms: ${await this.#whereAllAre()}`);
        await sleep(LOOK_EVERY_MS);
      }
      const runs = await this.worker.call('runs');
      if (runs !== this.#jobs) throw new Error(`${this.#jobs} jobs, but handlers ran ${runs} times`);
    } finally {
      clearTimeout(late);
    }
  }

  async #isAllDone(): Promise<boolean> {
    if (this.hasRow) {
      const { rows } = await this.db.query(`select 1 from ${TABLE} where status <> 'SUCCESS' limit 1`);
      if (rows.length > 0) return false;
    }
    if (!(await this.#areExecutionsDone())) return false;
    if (!this.hasRow) return true;
    const { rows } = await this.db.query<{ count: number }>(`select count(*)::int as count from ${TABLE} where status = 'SUCCESS'`);
    return rows[0]!.count === this.#jobs;
  }

  async #areExecutionsDone(): Promise<boolean> {
    // A workflow of many waits a little for more.
    if (this.perJob === null) return true;
    const { count } = await this.client[this.perJob].count(`ExecutionStatus = 'Completed'`);
    return count === this.#jobs;
  }

  async #whereAllAre(): Promise<string> {
    const workflows = await this.client.workflow.count('GROUP BY ExecutionStatus');
    const states = workflows.groups.map(({ count, groupValues }) => `${count} ${String(groupValues[0])}`);
    if (!this.hasRow) return `workflows: ${states.join(', ')}`;
    const { rows } = await this.db.query<{ status: string; count: number }>(
      `select status, count(*)::int as count from ${TABLE} group by status`,
    );
    return `workflows: ${states.join(', ')}; rows: ${rows.map(({ status, count }) => `${count} ${status}`).join(', ')}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanUp.disposeAsync();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
