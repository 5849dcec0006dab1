// The seams between the folders: who writes the row (JobMirror), and who executes the job (JobEngine).
import type { ErrorRecord } from './errors.ts';
import type { Status } from './lifecycle.ts';

/** A row as the database returned it: column name → value. */
export type Row = Record<string, unknown>;

/** Which job. */
export interface JobRef {
  jobType: string;
  id: string;
}

/** Which run of a job. */
export interface RunRef extends JobRef {
  run: number;
}

/** The order key of a fact: run, attempt, and the execution's id, since numbers alone repeat once Temporal lost its data. */
export interface AttemptRef extends RunRef {
  attempt: number;
  runId: string;
}

/** What became of a guarded write: done, already done by this very attempt, or refused because others moved on. */
export type WriteResult = 'applied' | 'duplicate' | 'stale';

/** How a start was answered by the row. */
export type StartVerdict =
  /** The row is STARTED by this attempt: run the handler. */
  | { kind: 'started'; row: Row }
  /** The row was revoked before; this statement or another one made it REVOKED. */
  | { kind: 'revoked' }
  /** Too many crashes: this statement made it FAILURE. */
  | { kind: 'crashed' }
  /** SUCCESS already: nothing to run. */
  | { kind: 'succeeded' }
  /** Settled otherwise, or a newer run exists: end without a verdict. */
  | { kind: 'refused'; status: Status; run: number }
  /** The row knows this attempt number or a newer one: try again with the next number. */
  | { kind: 'behind' }
  /** An older execution still lives, or this worker's registry row is not fresh: look again soon. */
  | { kind: 'wait'; because: 'held' | 'registry' }
  | { kind: 'not_found' };

/** The handler's own column changes: column name → value as the driver takes it. */
export type OwnChanges = Record<string, unknown>;

/** An end that is no success. `status` is what the row became. */
export interface EndResult {
  result: WriteResult;
  status: Status | null;
}

/** The only writer of lifecycle columns. Every write is guarded; none throws because others were faster. */
export interface JobMirror {
  /** Notes the execution of a run; `stale` when the row has one already or is in another run. */
  dispatched(ref: RunRef, runId: string, workflowId: string): Promise<WriteResult>;
  /** Writes at once what `dispatched` gathers. */
  flush(): void;
  /** `by.worker` null: no worker process (the inline engine). */
  start(ref: AttemptRef, by: { worker: string | null; crashRetries: number; runningHere: boolean }): Promise<StartVerdict>;
  /** Notes on a PENDING row why it does not start (no handler, not dispatchable); changes no status. */
  waiting(ref: RunRef & { runId: string }, error: ErrorRecord, nextAttemptAt: Date): Promise<WriteResult>;
  progress(ref: AttemptRef, said: ProgressReport): Promise<{ result: WriteResult; revokeRequested: boolean }>;
  /** The handler's own columns, while it runs (`job.save()`). */
  saved(ref: AttemptRef, own: OwnChanges): Promise<WriteResult>;
  succeeded(ref: AttemptRef, end: { output: unknown; own: OwnChanges }): Promise<WriteResult>;
  /** PENDING with `nextAttemptAt`, FAILURE when that is null, REVOKED when revocation was asked for. */
  failed(ref: AttemptRef, end: AttemptFailure): Promise<EndResult>;
  /** PENDING, or REVOKED when revocation was asked for. Only once the handler has ended. */
  handedBack(ref: AttemptRef, reason: HandBackReason): Promise<EndResult>;
  /**
   * REVOKED because somebody ended the execution in Temporal: only if the row is open and still names the execution
   * that was looked at.
   */
  ended(ref: RunRef, runId: string | null, end: { by: string | null; reason: string | null }): Promise<WriteResult>;
  /**
   * The next run of one whose execution is gone or had ended before; REVOKED when that was asked for. `null` when the row
   * has moved on or its holder lives. `runId`: the execution that the row named when it was read;
   * `worker`: who decides it, if a worker.
   */
  nextRun(ref: RunRef, runId: string | null, decision: { why: string; worker: string | null }): Promise<NextRun | null>;
  /** The workflow's last word: only from an open status of this run, only if the row knows no other execution. */
  finalized(ref: RunRef & { runId: string }, end: { status: 'FAILURE' | 'REVOKED'; error: ErrorRecord | null }): Promise<EndResult>;
}

/** A row that is STARTED by this attempt: run the handler. */
export interface StartedRow {
  ref: AttemptRef;
  row: Row;
}

/** What a lane asks of a queue. */
export interface LaneRequest {
  jobType: string;
  queue: string;
  worker: string;
  /** Ids of the jobs that run in this process, in whatever way: left alone. */
  running: readonly string[];
  limit: number;
  /** The lane's execution, as it will stand on the rows. */
  runId: string;
  /** `null`: it runs without a workflow. */
  workflowId: string | null;
  crashRetries: number;
}

/** What is asked of a queue before there is a lane. */
export type LaneLook = Pick<LaneRequest, 'jobType' | 'queue' | 'worker' | 'running'>;

/** From where a lane has its rows. Nothing but the answer says which ones it has. */
export interface LaneRows {
  /** The next PENDING ones, STARTED by this lane. */
  claim(request: LaneRequest): Promise<StartedRow[]>;
  /** STARTED ones that nobody is at work on; settles those that were to be revoked, or crashed too often. */
  takeOver(request: LaneRequest): Promise<StartedRow[]>;
  /** Whether either would find something. */
  hasWork(request: LaneLook): Promise<boolean>;
  /** The next PENDING ones say why they wait: this worker may not run them. Those of a moment ago are left to others. */
  unhandled(request: LaneLook, error: ErrorRecord): Promise<void>;
}

/** What became of a run whose execution is gone, and what its dispatch needs. */
export interface NextRun extends Omit<CommittedRun, keyof JobRef> {
  status: 'PENDING' | 'REVOKED';
}

/** How an attempt failed. */
export interface AttemptFailure {
  error: ErrorRecord;
  nextAttemptAt: Date | null;
  outcome: FailureOutcome;
  /** The handler is still at work, so that its worker stays the row's holder. @default false */
  handlerGoesOn?: boolean;
}

export type FailureOutcome = 'failed' | 'time_limit';
export type HandBackReason = 'shutdown' | 'paused' | 'lost';

/** `progress` is 0 to 1. Absent fields stay as they are. */
export interface ProgressReport {
  progress?: number;
  message?: string | null;
  checkpoint?: unknown;
}

/** A run that is committed as PENDING and shall be executed. */
export interface CommittedRun extends RunRef {
  queue: string;
  runAt: Date | null;
  priority: number | null;
}

/** A row as the reconciler sees it. */
export interface RunFacts extends RunRef {
  status: Status;
  /** The execution that it names. */
  runId: string | null;
  revokeRequested: boolean;
  /** Its holder lives and may still be at work. */
  isHeld: boolean;
  /** Since when it is settled; `null` while it is not. */
  settledForMs: number | null;
  /** Since when this run has been committed. */
  enqueuedForMs: number;
}

/** One that nobody has dispatched yet, as the relay's sweep finds it. */
export interface UndispatchedRun extends CommittedRun {
  ageMs: number;
}

/** The tables as the relay needs them. */
export interface UndispatchedRunSource {
  /**
   * Calls `dispatch` with up to `limit` runs that no other relay works on meanwhile; returns how many there were.
   * `graceMs`: who enqueued gets so long to dispatch by itself.
   */
  sweep(options: { graceMs: number; limit: number }, dispatch: (runs: UndispatchedRun[]) => Promise<void>): Promise<number>;
}

/** The tables as the reconciler needs them. */
export interface OpenRunSource {
  /** Whether this process is the one to look, for so long; it is asked for anew with every pass. */
  lead(leaseMs: number): Promise<boolean>;
  /** STARTED rows that nobody runs any more, or that shall be revoked; the next ones of an endless walk. */
  doubtful(limit: number): Promise<RunFacts[]>;
  /** The next rows of an endless walk over what is open; `isLast`: it begins anew after these. */
  next(limit: number): Promise<{ rows: RunFacts[]; isLast: boolean }>;
  /** The rows of these runs' jobs, in whatever run they are, by `jobKey`. */
  ofJobs(runs: readonly RunRef[]): Promise<Map<string, RunFacts>>;
  /** Deletes registry rows of workers that ended long ago. */
  forgetWorkers(): Promise<void>;
}

/**
 * What became of a dispatch. `away`: Temporal cannot be reached, so that other runs need not be tried; `refused`: this run
 * cannot be dispatched as it is.
 */
export type DispatchResult = 'dispatched' | 'away' | 'refused';

/** What an engine needs to execute a run: ids and options, never the job's data. */
export interface DispatchRequest extends RunRef {
  queue: string;
  /** Not before this time; `null` = now. */
  startAt: Date | null;
  priority: number | null;
  heartbeatTimeoutMs: number;
  totalTimeoutMs: number | null;
}

/** `runId` names the execution that has the run; `closed` when it had ended before this call. */
export interface Dispatched {
  workflowId: string;
  runId: string;
  outcome: 'started' | 'running' | 'closed';
}

export type ExecutionStatus = 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed_out' | 'not_found';

/** What an engine knows of the execution of a run. */
export interface Execution {
  status: ExecutionStatus;
  /** Of one that was terminated: by whom, and why. */
  end?: { by: string; reason: string; byThisLibrary: boolean };
  /** Of one that ended at the job's own limit (totalTimeout), where no workflow wrote that to the row. */
  timeLimitMs?: number | null;
}

/** Executes jobs. Throws `temporal.unavailable` when it cannot be reached. */
export interface JobEngine {
  /** Idempotent per run: a second dispatch finds the first one's execution. */
  dispatch(request: DispatchRequest): Promise<Dispatched>;
  /** Asks the execution to stop; no error when it has ended. */
  cancel(ref: RunRef, reason: string): Promise<void>;
  /** Ends the execution without its consent; no error when it has ended. */
  terminate(ref: RunRef, reason: string): Promise<void>;
  describe(ref: RunRef): Promise<Execution>;
  close(): Promise<void>;
}

/** Lists of executions: a hint that lags a little behind, for finding what to describe. */
export interface ExecutionListing {
  /** Those of at most a hundred `refs` that execute now, by `runKey`. */
  openAmong(refs: readonly RunRef[]): Promise<Set<string>>;
  /**
   * Runs whose execution has ended since then, other than by completing, and when the last of them did, by Temporal's
   * clock; at most ten thousand.
   */
  endedSince(moment: Date): Promise<{ runs: RunRef[]; newest: Date | null }>;
  /** All runs that execute now, page by page. */
  openRuns(): AsyncGenerator<RunRef[]>;
}

/** Where diagnostics go: pino's shape, so that a pino logger is one. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Log;
}
