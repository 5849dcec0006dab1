// Asks the rows of the attempts that run here whether they still have them, every few seconds and in one query per
// table; at once when a revocation is heard of. So that and being overtaken reach a handler that says nothing, also
// while Temporal is away.
import type { Pool } from 'pg';
import type { AttemptRef, Log } from '../domain/ports.ts';
import type { JobTable, LibraryTables } from './job-table.ts';
import { watchedQuery } from './queries.ts';

export interface AttemptNews {
  overtaken(): void;
  revokeRequested(): void;
}

interface WatchedRow {
  id: string;
  status: string;
  run: number;
  attempt: number;
  run_id: string | null;
  revoke_requested: boolean;
}

export class AttemptWatch {
  readonly #pool: Pool;
  readonly #tables: ReadonlyMap<string, JobTable>;
  readonly #library: LibraryTables;
  readonly #log: Log;
  readonly #watched = new Map<AttemptRef, AttemptNews>();
  readonly #timer: NodeJS.Timeout;
  /** Heard of, but not watched (yet): their attempts are just starting, or are another worker's. Of one interval. */
  readonly #revokedUnwatched = new Set<string>();
  #isLooking = false;
  #isWanted = false;

  constructor(pool: Pool, tables: ReadonlyMap<string, JobTable>, library: LibraryTables, intervalMs: number, log: Log) {
    this.#pool = pool;
    this.#tables = tables;
    this.#library = library;
    this.#log = log;
    this.#timer = setInterval(() => {
      this.#revokedUnwatched.clear();
      void this.look();
    }, intervalMs);
    this.#timer.unref();
  }

  /** From its start until its outcome is written; returns how to end it. */
  watch(ref: AttemptRef, news: AttemptNews): () => void {
    this.#watched.set(ref, news);
    if (this.#revokedUnwatched.delete(ref.id)) void this.look();
    return () => this.#watched.delete(ref);
  }

  /** A job was revoked; whether it is one that runs here, its row says. */
  revoked(jobId: string): void {
    if ([...this.#watched.keys()].some(({ id }) => id === jobId)) void this.look();
    else this.#revokedUnwatched.add(jobId);
  }

  /** A look at all rows. What is wanted during one is one more, since that may have passed the row already. */
  async look(): Promise<void> {
    this.#isWanted = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#lookOnce();
    }
    this.#isLooking = false;
  }

  async #lookOnce(): Promise<void> {
    try {
      const byType = Map.groupBy(this.#watched.keys(), ({ jobType }) => jobType);
      for (const [jobType, refs] of byType) await this.#lookAt(this.#tables.get(jobType)!, refs);
    } catch (error) {
      this.#log.debug({ err: error }, 'the rows of running attempts could not be asked');
    }
  }

  async #lookAt(table: JobTable, refs: AttemptRef[]): Promise<void> {
    const { rows } = await this.#pool.query<WatchedRow>(watchedQuery(table, this.#library), [refs.map(({ id }) => id)]);
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const ref of refs) {
      const row = byId.get(ref.id);
      const isMine = row?.status === 'STARTED' && row.run === ref.run && row.attempt === ref.attempt && row.run_id === ref.runId;
      if (!isMine) this.#watched.get(ref)?.overtaken();
      else if (row.revoke_requested) this.#watched.get(ref)?.revokeRequested();
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
