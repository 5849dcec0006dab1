// This process's row in the worker registry: registered at the start, renewed every few seconds with the jobs it runs,
// marked stopped at an orderly end. Others read it to tell a living execution from a dead one.
import type { Pool } from 'pg';
import type { Log } from '../domain/ports.ts';
import type { LibraryTables } from './job-table.ts';

export interface WorkerDescription {
  id: string;
  application: string;
  host: string;
  pid: number;
  version: string;
  queues: string[];
  concurrency: number;
}

export class WorkerRegistry {
  readonly #pool: Pool;
  readonly #workers: string;
  readonly #worker: WorkerDescription;
  readonly #ttlMs: number;
  readonly #log: Log;
  readonly #running = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #beat: Promise<void> | null = null;
  #isAway = false;

  /** `ttlMs`: how long a silent worker counts as alive; the row is renewed five times as often. */
  constructor(pool: Pool, tables: LibraryTables, worker: WorkerDescription, ttlMs: number, log: Log) {
    this.#pool = pool;
    this.#workers = tables.workers;
    this.#worker = worker;
    this.#ttlMs = ttlMs;
    this.#log = log;
  }

  get id(): string {
    return this.#worker.id;
  }

  /** Ids of the jobs that the process is busy with. */
  get jobs(): string[] {
    return [...this.#running.keys()];
  }

  /** How many attempts of this job the process is busy with. */
  running(jobId: string): number {
    return this.#running.get(jobId) ?? 0;
  }

  /** Lists the job. Call it before the start is sent; the returned function after the outcome is answered. */
  list(jobId: string): () => void {
    this.#running.set(jobId, this.running(jobId) + 1);
    let listed = true;
    return () => {
      if (!listed) return;
      listed = false;
      const left = this.running(jobId) - 1;
      if (left > 0) this.#running.set(jobId, left);
      else this.#running.delete(jobId);
    };
  }

  /** Registers the worker and keeps its row alive. While PostgreSQL is away it is repeated, and no job is started. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.beat(), Math.max(50, this.#ttlMs / 5));
    await this.beat();
  }

  /** Renews the row, and makes it anew when it is gone (a restored database). Beats never overlap. */
  beat(): Promise<void> {
    return (this.#beat ??= this.#renew().finally(() => (this.#beat = null)));
  }

  async #renew(): Promise<void> {
    if (this.#pool.ending) return clearInterval(this.#timer);
    const w = this.#worker;
    try {
      await this.#pool.query(
        `insert into ${this.#workers} as w (id, application, host, pid, version, queues, concurrency, jobs, expires_at)
         values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8::jsonb, now() + make_interval(secs => $9::float8 / 1000))
         on conflict (id) do update set seen_at = now(), expires_at = excluded.expires_at, beat = w.beat + 1, jobs = excluded.jobs,
           alive_since = case when w.expires_at < now() then now() else w.alive_since end
         where w.stopped_at is null`,
        [w.id, w.application, w.host, w.pid, w.version, JSON.stringify(w.queues), w.concurrency, JSON.stringify(this.jobs), this.#ttlMs],
      );
      if (this.#isAway) this.#log.info({}, 'the worker registry can be renewed again');
      this.#isAway = false;
    } catch (error) {
      // Once per outage, not once per beat.
      if (!this.#isAway) this.#log.warn({ err: error }, 'the worker registry cannot be renewed; no job is started until it can');
      this.#isAway = true;
    }
  }

  /** An orderly end: what this worker still held counts no crash. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beat;
    await this.#pool.query(`update ${this.#workers} set stopped_at = now(), seen_at = now(), jobs = '[]' where id = $1`, [this.id]);
  }

  /** No orderly end: what was left running may still be at work, and the row says so for as long as the process lives. */
  abandon(): void {
    this.#timer?.unref();
  }
}
