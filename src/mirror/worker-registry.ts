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
  #beating: Promise<void> = Promise.resolve();

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

  async register(): Promise<void> {
    const w = this.#worker;
    await this.#pool.query(
      `insert into ${this.#workers} (id, application, host, pid, version, queues, concurrency, expires_at)
       values ($1, $2, $3, $4, $5, $6::jsonb, $7, now() + make_interval(secs => $8::float8 / 1000))`,
      [w.id, w.application, w.host, w.pid, w.version, JSON.stringify(w.queues), w.concurrency, this.#ttlMs],
    );
    this.#timer = setInterval(() => void this.beat(), Math.max(50, this.#ttlMs / 5));
  }

  /** Renews the row; beats never overlap, so that the list of one is not older than that of the one before. */
  beat(): Promise<void> {
    return (this.#beating = this.#beating.then(async () => {
      if (this.#pool.ending) return clearInterval(this.#timer);
      try {
        await this.#pool.query(
          `update ${this.#workers} set seen_at = now(), expires_at = now() + make_interval(secs => $2::float8 / 1000), beat = beat + 1, jobs = $3::jsonb
           where id = $1 and stopped_at is null`,
          [this.id, this.#ttlMs, JSON.stringify(this.jobs)],
        );
      } catch (error) {
        this.#log.warn({ err: error }, 'the worker registry could not be renewed; no job is started until it can');
      }
    }));
  }

  /** An orderly end: what this worker still held counts no crash. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    await this.#pool.query(`update ${this.#workers} set stopped_at = now(), seen_at = now(), jobs = '[]' where id = $1`, [this.id]);
  }

  /** No orderly end: what was left running may still be at work, and the row says so for as long as the process lives. */
  abandon(): void {
    this.#timer?.unref();
  }
}
