// The database as an inspection sees it: a connection of its own with short patience, reads only, values as facts.
import type { MikroORM } from '@mikro-orm/postgresql';
import type { Pool, PoolConfig } from 'pg';
import { openPool } from '../app/open-pool.ts';
import { AsyncJobError } from '../domain/errors.ts';
import type { Log } from '../domain/ports.ts';
import type { JobTable, LibraryTables } from '../mirror/job-table.ts';
import { isSchemaError } from '../mirror/transient.ts';
import type { DatabaseFacts, JobsFacts, LostJob, OpenJobs, WorkerFact } from './facts.ts';
import { lostJobsQuery, openJobsQuery, serverQuery, workersQuery } from './queries.ts';

/** Workers that went longer ago say nothing about today. */
export const WORKERS_SINCE_MS = 24 * 3_600_000;

const CONNECT_TIMEOUT_MS = 3_500;

export type Row = Record<string, unknown>;

export class InspectionDatabase {
  readonly #pool: Pool;
  readonly where: string;

  private constructor(pool: Pool, where: string) {
    this.#pool = pool;
    this.where = where;
  }

  /** Opens no connection yet. `timeoutMs`: for each statement. */
  static async open(orm: MikroORM, timeoutMs: number): Promise<InspectionDatabase> {
    const pool = await openPool(orm, { log: SILENT });
    const patience: PoolConfig = {
      connectionTimeoutMillis: Math.min(timeoutMs, CONNECT_TIMEOUT_MS),
      statement_timeout: timeoutMs,
      query_timeout: timeoutMs,
      application_name: 'asyncjob inspection',
    };
    Object.assign(pool.options, patience); // read at each new connection
    return new InspectionDatabase(pool, whereIs(orm));
  }

  /** @throws AsyncJobError `database.unavailable`, `database.schema` */
  async query(text: string, values: unknown[] = []): Promise<Row[]> {
    if (text === '') return []; // of no tables
    try {
      return (await this.#pool.query(text, values)).rows as Row[];
    } catch (error) {
      const { message, code } = error as { message?: string; code?: string };
      const why = message || code || String(error);
      if (isSchemaError(error))
        throw new AsyncJobError('database.schema', `${why}. Run the application's migrations (npx mikro-orm migration:up).`, {
          cause: error,
        });
      throw new AsyncJobError('database.unavailable', `PostgreSQL at ${this.where} cannot be used (${why}).`, { cause: error });
    }
  }

  async server(): Promise<DatabaseFacts> {
    await this.query('select 1'); // connects, so that the next one's time is that of an answer
    const before = Date.now();
    const [row] = (await this.query(serverQuery)) as [Row];
    const after = Date.now();
    return {
      where: this.where,
      user: String(row['user']),
      version: String(row['version']),
      isReadOnly: row['is_read_only'] === true,
      answeredInMs: after - before,
      clockOffsetMs: Math.round(Number(row['now_ms']) - (before + after) / 2),
    };
  }

  async workers(tables: readonly JobTable[], library: LibraryTables): Promise<{ workers: WorkerFact[] }> {
    const rows = await this.query(workersQuery(library, tables), [WORKERS_SINCE_MS]);
    return {
      workers: rows.map((row) => ({
        id: String(row['id']),
        application: String(row['application']),
        host: String(row['host']),
        pid: Number(row['pid']),
        version: String(row['version']),
        queues: row['queues'] as string[],
        concurrency: Number(row['concurrency']),
        running: Number(row['running']) - Number(row['in_lanes']),
        inLanes: Number(row['in_lanes']),
        startedMsAgo: Number(row['started_ms_ago']),
        seenMsAgo: Number(row['seen_ms_ago']),
        ttlMs: Number(row['ttl_ms']),
        state: row['state'] as WorkerFact['state'],
        goneForMs: Number(row['gone_for_ms']),
      })),
    };
  }

  async jobs(tables: readonly JobTable[], library: LibraryTables): Promise<JobsFacts> {
    if (tables.length === 0) return { queues: [], lost: [] };
    const [open, lost] = await Promise.all([this.query(openJobsQuery(tables)), this.query(lostJobsQuery(tables, library))]);
    return { queues: open.map(toOpenJobs), lost: lost.map(toLostJob) };
  }

  /** Does not wait for a server that hangs. */
  async close(): Promise<void> {
    await Promise.race([this.#pool.end(), new Promise((resolve) => setTimeout(resolve, 500).unref())]);
  }
}

function toOpenJobs(row: Row): OpenJobs {
  return {
    jobType: String(row['job_type']),
    queue: String(row['queue']),
    started: Number(row['started']),
    due: Number(row['due']),
    oldestDueMs: numberOrNull(row['oldest_due_ms']),
    later: Number(row['later']),
    undispatched: Number(row['undispatched']),
    oldestUndispatchedMs: numberOrNull(row['oldest_undispatched_ms']),
    handlerMissing: Number(row['handler_missing']),
    oldestHandlerMissingMs: numberOrNull(row['oldest_handler_missing_ms']),
    longInLane: Number(row['long_in_lane']),
    longestInLaneMs: numberOrNull(row['longest_in_lane_ms']),
  };
}

function toLostJob(row: Row): LostJob {
  return {
    jobType: String(row['job_type']),
    id: String(row['id']),
    attempt: Number(row['attempt']),
    holder: String(row['holder']),
    startedMsAgo: Number(row['started_ms_ago'] ?? 0),
    holderGoneForMs: numberOrNull(row['holder_gone_for_ms']),
    why: row['why'] as LostJob['why'],
  };
}

export function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

/** `host:port/name`: nothing else of an address may be shown. */
export function whereIs(orm: MikroORM): string {
  const { host, port, database } = orm.em.getConnection().getConnectionOptions();
  return `${host ?? 'localhost'}:${port || 5432}/${database ?? ''}`;
}

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
