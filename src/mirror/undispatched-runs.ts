// The relay's view of the tables: runs that were committed and never dispatched, each given to one relay at a time.
import type { Pool } from 'pg';
import type { UndispatchedRun, UndispatchedRunSource } from '../domain/ports.ts';
import type { JobTable, LibraryTables } from './job-table.ts';
import { undispatchedQuery } from './queries.ts';

interface FoundRun {
  job_type: string;
  id: string;
  run: number;
  queue: string;
  run_at: string | Date | null;
  priority: number | null;
  age_ms: string | number;
}

export class UndispatchedRuns implements UndispatchedRunSource {
  readonly #pool: Pool;
  readonly #query: string | null;

  constructor(pool: Pool, tables: Iterable<JobTable>, library: LibraryTables) {
    // Jobs of lanes are never dispatched.
    const dispatched = [...tables].filter(({ lane }) => lane === null);
    const selects = dispatched.map(
      (table) => `(select '${table.jobType.replaceAll("'", "''")}' as job_type, u.* from (${undispatchedQuery(table, library)}) u)`,
    );
    this.#pool = pool;
    this.#query =
      selects.length > 0
        ? `select * from (${selects.join(' union all ')}) u where pg_try_advisory_xact_lock(hashtextextended(u.job_type || u.id, 7238)) limit $2`
        : null;
  }

  /**
   * Advisory locks keep other relays off these runs until `dispatch` has ended. The rows themselves stay unlocked: a
   * revocation or a start must not wait for a Temporal that does not answer.
   */
  async sweep(
    { graceMs, limit }: { graceMs: number; limit: number },
    dispatch: (runs: UndispatchedRun[]) => Promise<void>,
  ): Promise<number> {
    if (this.#query === null) return 0;
    const client = await this.#pool.connect();
    let failure: Error | undefined;
    try {
      await client.query('begin');
      const { rows } = await client.query<FoundRun>(this.#query, [graceMs, limit]);
      await dispatch(rows.map(toRun));
      await client.query('commit');
      return rows.length;
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      // With an error the connection's state is unknown: it is closed, which ends its transaction.
      client.release(failure);
    }
  }
}

function toRun(row: FoundRun): UndispatchedRun {
  return {
    jobType: row.job_type,
    id: row.id,
    run: row.run,
    queue: row.queue,
    runAt: row.run_at === null ? null : new Date(row.run_at),
    priority: row.priority,
    ageMs: Number(row.age_ms),
  };
}
