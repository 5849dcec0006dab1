// The reconciler's view of the tables: the open rows in small portions, and which worker process is to look at them.
import type { Pool } from 'pg';
import { jobKey } from '../domain/identity.ts';
import type { Status } from '../domain/lifecycle.ts';
import type { RunFacts, RunRef } from '../domain/ports.ts';
import type { JobTable, LibraryTables } from './job-table.ts';
import { doubtfulRunsQuery, openRunsQuery, runsByIdQuery } from './statements.ts';

interface FoundRow {
  id: string;
  run: number;
  status: Status;
  run_id: string | null;
  revoke_requested: boolean;
  held: boolean;
  settled_for_ms: number | null;
  enqueued_for_ms: number;
}

/** Any number, the same in all workers. */
const LEADER_LOCK = 7239;

export interface OpenRunsOptions {
  applicationName: string;
  /** Who looks; `null` for a command. */
  worker: string | null;
  /** What began or was committed less than so long ago is left alone. */
  quietMs: number;
}

export class OpenRuns {
  readonly #pool: Pool;
  readonly #tables: ReadonlyMap<string, JobTable>;
  /** Jobs of lanes have no execution of their own to be compared with. */
  readonly #compared: readonly JobTable[];
  readonly #library: LibraryTables;
  readonly #options: OpenRunsOptions;
  /** Where the walk goes on. */
  #at: { table: number; after: string | null } = { table: 0, after: null };

  constructor(pool: Pool, tables: ReadonlyMap<string, JobTable>, library: LibraryTables, options: OpenRunsOptions) {
    this.#pool = pool;
    this.#tables = tables;
    this.#compared = [...tables.values()].filter(({ lane }) => lane === null);
    this.#library = library;
    this.#options = options;
  }

  /**
   * Runs `work` if this is the worker that is to look: the oldest living one of the application. So it stays one process,
   * which remembers what it has seen. A lock besides, for the moment in which two take themselves for it.
   */
  async asLeader(work: () => Promise<void>): Promise<boolean> {
    const client = await this.#pool.connect();
    let failure: Error | undefined;
    try {
      await client.query('begin');
      const { rows } = await client.query<{ leads: boolean }>(
        `select $1 = (select w.id from ${this.#library.workers} w where w.application = $2 and w.stopped_at is null and w.expires_at > now()
            order by w.started_at, w.id limit 1) and pg_try_advisory_xact_lock(${LEADER_LOCK}, hashtext($2)) as leads`,
        [this.#options.worker, this.#options.applicationName],
      );
      const leads = rows[0]?.leads === true;
      if (leads) await work();
      await client.query('commit');
      return leads;
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      client.release(failure);
    }
  }

  /** STARTED rows that nobody runs any more, or that shall be revoked. */
  async doubtful(limit: number): Promise<RunFacts[]> {
    const { quietMs, worker } = this.#options;
    const found: RunFacts[] = [];
    for (const table of this.#compared) {
      if (found.length >= limit) break;
      found.push(...(await this.#find(table, doubtfulRunsQuery(table, this.#library), [limit - found.length, quietMs, worker])));
    }
    return found;
  }

  /** The next rows of an endless walk over what is open, table by table; `isLast`: it begins anew after these. */
  async next(limit: number): Promise<{ rows: RunFacts[]; isLast: boolean }> {
    const { quietMs, worker } = this.#options;
    const tables = this.#compared;
    const rows: RunFacts[] = [];
    while (this.#at.table < tables.length && rows.length < limit) {
      const table = tables[this.#at.table]!;
      const left = limit - rows.length;
      const portion = await this.#find(table, openRunsQuery(table, this.#library), [this.#at.after, left, quietMs, worker]);
      rows.push(...portion);
      this.#at = portion.length < left ? { table: this.#at.table + 1, after: null } : { table: this.#at.table, after: portion.at(-1)!.id };
    }
    const isLast = this.#at.table >= tables.length;
    if (isLast) this.#at = { table: 0, after: null };
    return { rows, isLast };
  }

  /** The rows of these runs' jobs, whatever their status and run, by job. */
  async ofJobs(runs: readonly RunRef[]): Promise<Map<string, RunFacts>> {
    const byType = Map.groupBy(runs, ({ jobType }) => jobType);
    const found = new Map<string, RunFacts>();
    for (const [jobType, refs] of byType) {
      const table = this.#tables.get(jobType);
      if (!table) continue;
      const ids = [...new Set(refs.map(({ id }) => id))];
      for (const row of await this.#find(table, runsByIdQuery(table, this.#library), [ids, this.#options.worker]))
        found.set(jobKey(row), row);
    }
    return found;
  }

  async #find({ jobType }: JobTable, query: string, values: unknown[]): Promise<RunFacts[]> {
    const { rows } = await this.#pool.query<FoundRow>(query, values);
    return rows.map((row) => ({
      jobType,
      id: row.id,
      run: row.run,
      status: row.status,
      runId: row.run_id,
      revokeRequested: row.revoke_requested,
      isHeld: row.held,
      settledForMs: row.settled_for_ms,
      enqueuedForMs: row.enqueued_for_ms,
    }));
  }
}
