// The mirror in PostgreSQL: each fact is one guarded statement; a refused one is looked up to tell a duplicate from a
// stale fact. It has its own small pool, so that handlers that use up the application's cannot keep it from writing.
import { AsyncJobError, toErrorMessage, toErrorRecord, type ErrorRecord } from '../domain/errors.ts';
import { FactCounts, type Fact } from '../domain/fact-counts.ts';
import { workflowIdOf } from '../domain/identity.ts';
import type { Status } from '../domain/lifecycle.ts';
import type {
  AttemptFailure,
  AttemptRef,
  EndResult,
  HandBackReason,
  JobMirror,
  NextRun,
  OwnChanges,
  ProgressReport,
  Row,
  RunRef,
  StartVerdict,
  WriteResult,
} from '../domain/ports.ts';
import { Coalescer } from './coalescer.ts';
import { unquoted, type JobTable, type LibraryTables } from './job-table.ts';
import { PreparedStatements, type SendOptions } from './prepared-statements.ts';
import { positionsQuery, startRefusalQuery } from './queries.ts';
import * as statements from './statements.ts';
import { isSchemaError } from './transient.ts';

export interface MirrorOptions extends SendOptions {
  tables: ReadonlyMap<string, JobTable>;
  library: LibraryTables;
  applicationName: string;
  facts?: FactCounts;
}

interface Dispatch {
  ref: RunRef;
  runId: string;
  workflowId: string;
}

/** `locked`: somebody writes the row just now. */
type Noted = WriteResult | 'locked';

interface Position {
  status: Status;
  run: number;
  attempt: number;
  run_id: string | null;
}

/** Most of them have started by then, and the start has noted the execution. */
const DISPATCHES_GATHER_MS = 100;
const DISPATCHES_PER_STATEMENT = 500;

/** Verdicts that wrote the row; the others, but for waiting, say that it had moved on. */
const APPLIED_STARTS: ReadonlySet<StartVerdict['kind']> = new Set(['started', 'revoked', 'crashed']);

type Statement = (table: JobTable, library: LibraryTables) => string;

export class PostgresJobMirror implements JobMirror {
  readonly facts: FactCounts;
  readonly #statements: PreparedStatements;
  readonly #tables: ReadonlyMap<string, JobTable>;
  readonly #library: LibraryTables;
  readonly #applicationName: string;
  readonly #dispatches: ReadonlyMap<string, Coalescer<Dispatch, Noted>>;
  readonly #built = new Map<Statement, Map<JobTable, string>>();

  constructor(options: MirrorOptions) {
    const { tables, library, applicationName, facts = new FactCounts() } = options;
    this.facts = facts;
    this.#statements = new PreparedStatements(options);
    this.#tables = tables;
    this.#library = library;
    this.#applicationName = applicationName;
    // Here and not at the first dispatch, whose context they would keep.
    this.#dispatches = new Map(
      [...tables.keys()].map((jobType) => {
        const note = async (some: Dispatch[]) => {
          const noted = await this.#note({ jobType }, statements.dispatchedStatement, some);
          return noted.map((value) => ({ status: 'fulfilled' as const, value }));
        };
        return [jobType, new Coalescer<Dispatch, Noted>(note, DISPATCHES_PER_STATEMENT, DISPATCHES_GATHER_MS)];
      }),
    );
  }

  async dispatched(ref: RunRef, runId: string, workflowId: string): Promise<WriteResult> {
    this.table(ref);
    const dispatch = { ref, runId, workflowId };
    let noted = await this.#dispatches.get(ref.jobType)!.add(dispatch);
    if (noted === 'locked') [noted = 'stale'] = await this.#note(ref, statements.dispatchedAfterLockStatement, [dispatch]);
    // Locked once more: it was free for a moment, and has been written.
    return this.facts.count('dispatched', ref, noted === 'locked' ? 'stale' : noted);
  }

  flush(): void {
    for (const dispatches of this.#dispatches.values()) dispatches.flush();
  }

  async #note(type: { jobType: string }, statement: Statement, all: Dispatch[]): Promise<Noted[]> {
    const rows = await this.run(type, statement, [
      all.map(({ ref }) => ref.id),
      all.map(({ ref }) => ref.run),
      all.map(({ runId }) => runId),
      all.map(({ workflowId }) => workflowId),
    ]);
    const keyOf = (id: unknown, run: unknown, runId: unknown) => [id, run, runId].join(' ');
    const results = new Map(rows.map((row) => [keyOf(row['id'], row['run'], row['run_id']), row['result'] as Noted]));
    return all.map(({ ref, runId }) => results.get(keyOf(ref.id, ref.run, runId)) ?? 'stale');
  }

  async start(ref: AttemptRef, by: { worker: string | null; crashRetries: number; runningHere: boolean }): Promise<StartVerdict> {
    const verdict = await this.#start(ref, by);
    if (verdict.kind !== 'wait') this.facts.count('started', ref, APPLIED_STARTS.has(verdict.kind) ? 'applied' : 'stale');
    return verdict;
  }

  async #start(ref: AttemptRef, by: { worker: string | null; crashRetries: number; runningHere: boolean }): Promise<StartVerdict> {
    const start = [ref.id, ref.run, ref.attempt, ref.runId, workflowIdOf(this.#applicationName, ref), by.worker];
    const [usual] = await this.run(ref, statements.usualStartStatement, start);
    if (usual) return { kind: 'started', row: usual };
    const crashed = crashedRepeatedly(by.crashRetries);
    const crash = [by.runningHere, by.crashRetries, JSON.stringify(crashed), toErrorMessage(crashed), ref.jobType];
    const [row] = await this.run(ref, statements.startStatement, [...start, ...crash]);
    if (!row) return this.#refusal(ref, by);
    const status = row[unquoted(this.table(ref).columns['status']!)] as Status;
    if (status === 'REVOKED') return { kind: 'revoked' };
    if (status === 'FAILURE') return { kind: 'crashed' };
    return { kind: 'started', row };
  }

  async #refusal(ref: AttemptRef, by: { worker: string | null; runningHere: boolean }): Promise<StartVerdict> {
    const [found] = await this.run(ref, startRefusalQuery, [ref.id, by.worker, by.runningHere]);
    if (!found) return { kind: 'not_found' };
    const { status, run, attempt, held, fresh } = found as unknown as Position & { held: boolean | null; fresh: boolean };
    if (run !== ref.run || status === 'NEW') return { kind: 'refused', status, run };
    if (status === 'SUCCESS') return { kind: 'succeeded' };
    if (status === 'REVOKED') return { kind: 'revoked' };
    if (status === 'FAILURE') return { kind: 'refused', status, run };
    if (!fresh) return { kind: 'wait', because: 'registry' };
    if (held) return { kind: 'wait', because: 'held' };
    if (attempt >= ref.attempt) return { kind: 'behind' };
    return { kind: 'wait', because: 'held' }; // it changed in between: look again
  }

  async waiting(ref: RunRef & { runId: string }, error: ErrorRecord, nextAttemptAt: Date): Promise<WriteResult> {
    const rows = await this.run(ref, statements.waitingStatement, [
      ref.id,
      ref.run,
      ref.runId,
      JSON.stringify(error),
      toErrorMessage(error),
      nextAttemptAt,
    ]);
    return this.facts.count('waiting', ref, rows.length > 0 ? 'applied' : 'stale');
  }

  async progress(ref: AttemptRef, said: ProgressReport): Promise<{ result: WriteResult; revokeRequested: boolean }> {
    const checkpoint = said.checkpoint === undefined ? null : JSON.stringify(said.checkpoint);
    const [row] = await this.run(ref, statements.progressStatement, [
      ...mine(ref),
      said.progress ?? null,
      said.message !== undefined,
      said.message ?? null,
      checkpoint,
    ]);
    const result = this.facts.count('progress', ref, row ? 'applied' : 'stale');
    return { result, revokeRequested: row?.['revoke_requested'] === true };
  }

  async saved(ref: AttemptRef, own: OwnChanges): Promise<WriteResult> {
    const rows = await this.query(ref, statements.savedStatement(this.table(ref), Object.keys(own)), [...mine(ref), ...Object.values(own)]);
    return this.facts.count('saved', ref, rows.length > 0 ? 'applied' : 'stale');
  }

  async succeeded(ref: AttemptRef, end: { output: unknown; own: OwnChanges }): Promise<WriteResult> {
    const output = end.output === undefined || end.output === null ? null : JSON.stringify(end.output);
    const rows = await this.query(ref, statements.succeededStatement(this.table(ref), Object.keys(end.own)), [
      ...mine(ref),
      output,
      ...Object.values(end.own),
    ]);
    if (rows.length > 0) return this.facts.count('succeeded', ref, 'applied');
    const position = await this.#position(ref);
    return this.facts.count('succeeded', ref, isMine(position, ref) && position.status === 'SUCCESS' ? 'duplicate' : 'stale');
  }

  async failed(ref: AttemptRef, end: AttemptFailure): Promise<EndResult> {
    const { error, nextAttemptAt, outcome, handlerGoesOn = false } = end;
    const values = [...mine(ref), JSON.stringify(error), toErrorMessage(error), nextAttemptAt, outcome, ref.jobType, handlerGoesOn];
    return this.#end('failed', ref, statements.failedStatement, values);
  }

  async handedBack(ref: AttemptRef, reason: HandBackReason): Promise<EndResult> {
    return this.#end('handed_back', ref, statements.handedBackStatement, [...mine(ref), reason, ref.jobType]);
  }

  async finalized(ref: RunRef & { runId: string }, end: { status: 'FAILURE' | 'REVOKED'; error: ErrorRecord | null }): Promise<EndResult> {
    const message = end.error && toErrorMessage(end.error);
    const [row] = await this.run(ref, statements.finalizedStatement, [
      ref.id,
      ref.run,
      ref.runId,
      end.status,
      end.error && JSON.stringify(end.error),
      message,
      ref.jobType,
    ]);
    if (row) return { result: this.facts.count('finalized', ref, 'applied'), status: row['status'] as Status };
    const position = await this.#position(ref);
    const settledByUs = position?.run === ref.run && position.run_id === ref.runId && position.status === end.status;
    return { result: this.facts.count('finalized', ref, settledByUs ? 'duplicate' : 'stale'), status: position?.status ?? null };
  }

  async ended(ref: RunRef, runId: string | null, { by, reason }: { by: string | null; reason: string | null }): Promise<WriteResult> {
    const rows = await this.run(ref, statements.endedStatement, [ref.id, ref.run, runId, reason, by, ref.jobType]);
    return this.facts.count('ended', ref, rows.length > 0 ? 'applied' : 'stale');
  }

  async nextRun(ref: RunRef, runId: string | null, { why, worker }: { why: string; worker: string | null }): Promise<NextRun | null> {
    const [row] = await this.run(ref, statements.nextRunStatement, [ref.id, ref.run, runId, why, ref.jobType, worker]);
    this.facts.count('next_run', ref, row ? 'applied' : 'stale');
    if (!row) return null;
    const runAt = row['run_at'] as string | Date | null;
    return { ...(row as unknown as NextRun), runAt: runAt === null ? null : new Date(runAt) };
  }

  /** An end of an attempt that is no success; its own write repeated counts as applied. */
  async #end(fact: Fact, ref: AttemptRef, statement: Statement, values: unknown[]): Promise<EndResult> {
    const [row] = await this.run(ref, statement, values);
    if (row) return { result: this.facts.count(fact, ref, 'applied'), status: row['status'] as Status };
    const position = await this.#position(ref);
    const moved = isMine(position, ref) && position.status !== 'STARTED' && position.status !== 'SUCCESS';
    return { result: this.facts.count(fact, ref, moved ? 'duplicate' : 'stale'), status: position?.status ?? null };
  }

  async #position(ref: { jobType: string; id: string }): Promise<Position | undefined> {
    const [row] = await this.run(ref, positionsQuery, [[ref.id]]);
    return row as Position | undefined;
  }

  protected run(ref: { jobType: string }, statement: Statement, values: unknown[], timeoutMs?: number): Promise<Row[]> {
    const table = this.table(ref);
    let byTable = this.#built.get(statement);
    if (!byTable) this.#built.set(statement, (byTable = new Map()));
    let text = byTable.get(table);
    if (!text) byTable.set(table, (text = statement(table, this.#library)));
    return this.query(ref, text, values, timeoutMs);
  }

  protected async query(ref: { jobType: string }, text: string, values: unknown[], timeoutMs?: number): Promise<Row[]> {
    try {
      return await this.#statements.send(text, values, timeoutMs);
    } catch (error) {
      if (!isSchemaError(error)) throw error;
      throw new AsyncJobError(
        'database.schema',
        `the table of '${ref.jobType}' is missing or out of date (${(error as Error).message}). Run the application's migrations (npx mikro-orm migration:up).`,
        { cause: error },
      );
    }
  }

  protected table(ref: { jobType: string }): JobTable {
    const table = this.#tables.get(ref.jobType);
    if (!table)
      throw new AsyncJobError(
        'job.not_an_entity',
        `'${ref.jobType}' is not among the entities of the ORM. Add it to jobs(…) in the MikroORM configuration.`,
      );
    return table;
  }
}

const mine = (ref: AttemptRef): unknown[] => [ref.id, ref.run, ref.attempt, ref.runId];

function isMine(position: Position | undefined, ref: AttemptRef): position is Position {
  return position?.run === ref.run && position.attempt === ref.attempt && position.run_id === ref.runId;
}

const crashRecords = new Map<number, ErrorRecord>();

/** What a start writes when it finds one crash too many; made once, since every start carries it. */
export function crashedRepeatedly(crashRetries: number): ErrorRecord {
  let record = crashRecords.get(crashRetries);
  if (!record) {
    const times = crashRetries === 0 ? 'once' : `${crashRetries + 1} times`;
    const error = new AsyncJobError(
      'job.crashed_repeatedly',
      `the worker died ${times} while it ran this job (crashRetries: ${crashRetries}). Look at the workers' logs and memory before you retry it.`,
    );
    record = { ...toErrorRecord(error, false), stack: undefined };
    crashRecords.set(crashRetries, record);
  }
  return record;
}
