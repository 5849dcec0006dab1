// The reconciler's view of the tables: the open rows in small portions, and which worker process is to look at them.
import type { Pool } from 'pg';
import { jobKey } from '../domain/identity.ts';
import type { Status } from '../domain/lifecycle.ts';
import type { OpenRunSource, RunFacts, RunRef } from '../domain/ports.ts';
import type { JobTable, LibraryTables } from './job-table.ts';
import { doubtfulRunsQuery, openRunsQuery, runsByIdQuery } from './queries.ts';

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

export interface OpenRunsOptions {
  applicationName: string;
  /** Who looks; `null` for a command. */
  worker: string | null;
  /** What began or was committed less than so long ago is left alone. */
  quietMs: number;
}

interface Place {
  table: number;
  after: string | null;
}

const BEGIN: Place = { table: 0, after: null };
/** Registry rows of workers that ended longer ago say nothing any more. */
const FORGET_WORKERS_AFTER = '30 days';

export class OpenRuns implements OpenRunSource {
  readonly #pool: Pool;
  readonly #tables: ReadonlyMap<string, JobTable>;
  /** Jobs of lanes have no execution of their own to be compared with. */
  readonly #compared: readonly JobTable[];
  readonly #library: LibraryTables;
  readonly #options: OpenRunsOptions;
  /** Applications that share a registry, though not their tables, have a leader each. */
  readonly #scope: string;
  #openAt = BEGIN;
  #doubtfulAt = BEGIN;

  constructor(pool: Pool, tables: ReadonlyMap<string, JobTable>, library: LibraryTables, options: OpenRunsOptions) {
    this.#pool = pool;
    this.#tables = tables;
    this.#compared = [...tables.values()].filter(({ lane }) => lane === null);
    this.#library = library;
    this.#options = options;
    this.#scope = [options.applicationName, ...[...tables.values()].map(({ name }) => name).sort()].join(' ');
  }

  /**
   * Who leads goes on leading as long as it lives and looks often enough; the first to ask follows one that does not any more. The
   * lock is for two that ask at the same moment.
   */
  async lead(leaseMs: number): Promise<boolean> {
    const { workers } = this.#library;
    const { rowCount } = await this.#pool.query(
      `update ${workers} w set reconciles = $2, reconciles_until = now() + make_interval(secs => $3::float8 / 1000)
        where w.id = $1 and w.stopped_at is null and pg_try_advisory_xact_lock(hashtextextended($2, 7239))
          and not exists (select 1 from ${workers} o where o.id <> $1 and o.reconciles = $2 and o.reconciles_until > now()
            and o.expires_at > now() and o.stopped_at is null)`,
      [this.#options.worker, this.#scope, leaseMs],
    );
    return rowCount === 1;
  }

  /** STARTED rows that nobody runs any more, or that should have been revoked by now: the next ones. */
  async doubtful(limit: number): Promise<RunFacts[]> {
    const { rows, at } = await this.#walk(doubtfulRunsQuery, this.#doubtfulAt, limit);
    this.#doubtfulAt = at;
    return rows;
  }

  /** The next rows of an endless walk over what is open, table by table; `isLast`: it begins anew after these. */
  async next(limit: number): Promise<{ rows: RunFacts[]; isLast: boolean }> {
    const { rows, at } = await this.#walk(openRunsQuery, this.#openAt, limit);
    this.#openAt = at;
    return { rows, isLast: at === BEGIN };
  }

  async #walk(
    query: (table: JobTable, library: LibraryTables) => string,
    from: Place,
    limit: number,
  ): Promise<{ rows: RunFacts[]; at: Place }> {
    const { quietMs, worker } = this.#options;
    const tables = this.#compared;
    const rows: RunFacts[] = [];
    let at = from;
    while (at.table < tables.length && rows.length < limit) {
      const table = tables[at.table]!;
      const left = limit - rows.length;
      const portion = await this.#find(table, query(table, this.#library), [at.after, left, quietMs, worker]);
      rows.push(...portion);
      at = portion.length < left ? { table: at.table + 1, after: null } : { table: at.table, after: portion.at(-1)!.id };
    }
    return { rows, at: at.table >= tables.length ? BEGIN : at };
  }

  async forgetWorkers(): Promise<void> {
    await this.#pool.query(
      `delete from ${this.#library.workers} where coalesce(stopped_at, expires_at) < now() - interval '${FORGET_WORKERS_AFTER}'`,
    );
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
