// The mirror of a worker's lanes: starts and successes of many rows in one statement each; everything else is written as
// for other jobs. On connections of its own.
import { toErrorMessage, type ErrorRecord } from '../domain/errors.ts';
import type { AttemptRef, LaneLook, LaneRequest, LaneRows, OwnChanges, Row, StartedRow, WriteResult } from '../domain/ports.ts';
import { changesDocument } from './changes-document.ts';
import { Coalescer } from './coalescer.ts';
import { unquoted, type JobTable } from './job-table.ts';
import { claimStatement, laneWorkQuery, succeededManyStatement, takeoverStatement, unhandledStatement } from './lane-statements.ts';
import { crashedRepeatedly, PostgresJobMirror, type MirrorOptions } from './postgres-job-mirror.ts';
import { positionsQuery } from './queries.ts';
import { isTransientDatabaseError } from './transient.ts';

interface Success {
  ref: AttemptRef;
  output: string | null;
  own: OwnChanges;
  changes: string;
}

const ROWS_PER_STATEMENT = 500;
/** The answer to a claim is not waited for longer: no beat begins before it. */
const CLAIM_TIMEOUT_MS = 5_000;

export class LaneMirror extends PostgresJobMirror implements LaneRows {
  readonly #successes: ReadonlyMap<string, Coalescer<Success, WriteResult>>;
  /** Their rows were locked by somebody for long, and their ends must not hold up others again. */
  readonly #apart = new WeakSet<AttemptRef>();
  #claims = 0;

  constructor(options: MirrorOptions) {
    super(options);
    // Here and not at the first success, whose context they would keep.
    this.#successes = new Map(
      [...options.tables].map(([jobType, table]) => [
        jobType,
        new Coalescer<Success, WriteResult>((successes) => this.#writeSuccesses(table, successes), ROWS_PER_STATEMENT),
      ]),
    );
  }

  async claim(request: LaneRequest): Promise<StartedRow[]> {
    const table = this.table(request);
    const { limit } = request;
    // A quarter; of single places, each in its turn.
    const kept = limit >= 4 ? Math.floor(limit / 4) : this.#claims++ % 4 === 0 ? limit : 0;
    const values = [...valuesOf(request), kept];
    return this.#started(table, await this.run(request, claimStatement, values, CLAIM_TIMEOUT_MS));
  }

  async takeOver(request: LaneRequest): Promise<StartedRow[]> {
    const table = this.table(request);
    const { crashRetries, jobType } = request;
    const error = crashedRepeatedly(crashRetries);
    const values = [...valuesOf(request), crashRetries, JSON.stringify(error), toErrorMessage(error), jobType];
    return this.#started(table, await this.run(request, takeoverStatement, values, CLAIM_TIMEOUT_MS));
  }

  async hasWork({ jobType, queue, worker, running }: LaneLook): Promise<boolean> {
    const [row] = await this.run({ jobType }, laneWorkQuery, [queue, worker, running]);
    return row?.['has_work'] === true;
  }

  async unhandled({ jobType, queue, worker, running }: LaneLook, error: ErrorRecord): Promise<void> {
    const values = [queue, worker, running, JSON.stringify(error), toErrorMessage(error)];
    await this.run({ jobType }, unhandledStatement, values);
  }

  override succeeded(ref: AttemptRef, end: { output: unknown; own: OwnChanges }): Promise<WriteResult> {
    const changes = this.#apart.has(ref) ? null : changesDocument(this.table(ref), end.own);
    if (changes === null) return super.succeeded(ref, end);
    const output = end.output === undefined || end.output === null ? null : JSON.stringify(end.output);
    return this.#successes.get(ref.jobType)!.add({ ref, output, own: end.own, changes });
  }

  async #writeSuccesses(table: JobTable, successes: Success[]): Promise<PromiseSettledResult<WriteResult>[]> {
    try {
      const results = await this.#succeededMany(table, successes);
      return results.map((value) => ({ status: 'fulfilled', value }));
    } catch (error) {
      if (isTransientDatabaseError(error) && !isLockTimeout(error)) throw error;
      // A value that does not fit, a row that somebody keeps locked: that concerns one of them. Each by itself.
      return Promise.allSettled(successes.map((success) => this.#writeApart(success)));
    }
  }

  async #writeApart({ ref, output, own }: Success): Promise<WriteResult> {
    try {
      return await super.succeeded(ref, { output: output === null ? null : JSON.parse(output), own });
    } catch (error) {
      if (isLockTimeout(error)) this.#apart.add(ref);
      throw error;
    }
  }

  async #succeededMany(table: JobTable, successes: Success[]): Promise<WriteResult[]> {
    const own = [...new Set(successes.flatMap((success) => Object.keys(success.own)))].sort();
    // In the order in which other statements about many jobs lock them.
    const ordered = successes.toSorted((a, b) => (a.ref.id < b.ref.id ? -1 : 1));
    const rows = await this.query(table, succeededManyStatement(table, own), [
      ordered.map(({ ref }) => ref.id),
      ordered.map(({ ref }) => ref.run),
      ordered.map(({ ref }) => ref.attempt),
      ordered.map(({ ref }) => ref.runId),
      ordered.map(({ output }) => output),
      ordered.map(({ changes }) => changes),
    ]);
    const applied = new Set(rows.map(({ id }) => id as string));
    const others = successes.filter(({ ref }) => !applied.has(ref.id));
    const known = others.length === 0 ? NOTHING_KNOWN : await this.#known(table, others);
    return successes.map(({ ref }) => this.facts.count('succeeded', ref, applied.has(ref.id) ? 'applied' : known(ref)));
  }

  async #known(table: JobTable, successes: Success[]): Promise<(ref: AttemptRef) => WriteResult> {
    const rows = await this.run(table, positionsQuery, [successes.map(({ ref }) => ref.id)]);
    const byId = new Map(rows.map((row) => [row['id'] as string, row]));
    return ({ id, run, attempt, runId }) => {
      const row = byId.get(id);
      const isMine = row?.['run'] === run && row['attempt'] === attempt && row['run_id'] === runId;
      return isMine && row['status'] === 'SUCCESS' ? 'duplicate' : 'stale';
    };
  }

  #started(table: JobTable, rows: Row[]): StartedRow[] {
    const { jobType } = table;
    const [id, run, attempt, runId, status] = ['id', 'run', 'attempt', 'runId', 'status'].map((name) => unquoted(table.columns[name]!));
    const all = rows.map((row) => ({
      ref: { jobType, id: row[id!], run: row[run!], attempt: row[attempt!], runId: row[runId!] } as AttemptRef,
      row,
    }));
    for (const { ref } of all) this.facts.count('started', ref, 'applied');
    return all.filter(({ row }) => row[status!] === 'STARTED');
  }
}

const NOTHING_KNOWN = (): WriteResult => 'stale';

const valuesOf = ({ queue, worker, running, limit, runId, workflowId }: LaneRequest): unknown[] => [
  queue,
  worker,
  running,
  limit,
  runId,
  workflowId,
];

function isLockTimeout(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '55P03';
}
