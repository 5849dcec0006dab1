// One attempt of a job, for any engine: ask the row, run the handler, write the outcome. What an end means is decided
// here, from what the row says and from the counters on it.
import type { MikroORM } from '@mikro-orm/postgresql';
import { RequestContext } from '@mikro-orm/core';
import {
  AttemptStopped,
  handBackReason,
  type AttemptEnd,
  type AttemptHost,
  type RunningAttempt,
  type StopReason,
} from '../domain/attempt.ts';
import type { AttemptListener } from '../domain/attempt-times.ts';
import { AsyncJobError, isAsyncJobError } from '../domain/errors.ts';
import { pause } from '../domain/pause.ts';
import type {
  AttemptFailure,
  AttemptRef,
  EndResult,
  FailureOutcome,
  HandBackReason,
  JobMirror,
  Log,
  OwnChanges,
  Row,
  WriteResult,
} from '../domain/ports.ts';
import { runInApplication, type Application } from '../entity/application.ts';
import type { AsyncJob } from '../entity/async-job.ts';
import type { RegisteredHandler } from '../entity/handler-registry.ts';
import { withAttempt } from '../entity/current-attempt.ts';
import { entityOf, ownChanges } from '../entity/own-changes.ts';
import { AttemptTask, reportOf, type ProgressSink } from './attempt-task.ts';
import { checkOutput } from './check-output.ts';
import type { HandlerTable, JobType } from './handler-table.ts';
import { HandlerHangs, judgeFailure, timeLimitError } from './judge-failure.ts';
import { MISSING_HANDLER_RETRY_MS, missingHandlerError } from './missing-handler.ts';
import { startAttempt } from './start-attempt.ts';
import { after, follow } from './waiting.ts';

/** What a worker process knows of itself: its registry row and what it runs. */
export interface AttemptRegistry {
  readonly id: string;
  running(jobId: string): number;
  /** `inForce` resolves when the job's start may be sent; `end` takes it off the list. */
  list(jobId: string): { inForce: Promise<void>; end(): void };
  /** While its handler runs: tells the attempt when its row moves on or asks for revocation. `runTimeoutMs` null: no limit. */
  watch(ref: AttemptRef, runTimeoutMs: number | null, news: { overtaken(): void; revokeRequested(): void }): () => void;
}

export interface AttemptDependencies {
  application: Application;
  orm: MikroORM;
  handlers: HandlerTable;
  mirror: JobMirror;
  /** Null outside of worker processes (the inline engine). */
  registry: AttemptRegistry | null;
  openProgress(ref: AttemptRef, news: { overtaken(): void; revokeRequested(): void; failed(error: unknown): void }): ProgressSink;
  isTransient(error: unknown): boolean;
  /** The error for callers of a write that failed, as everywhere in the library. */
  toCallerError(error: unknown, jobType: string): unknown;
  times: AttemptListener;
  log: Log;
  /** At which level it is said that an attempt started, succeeded, or ended as it was asked to. @default 'info' */
  routineLevel?: 'info' | 'debug';
}

const WRITE_RETRY_MAX_MS = 5_000;
/** Time that a handler gets to stop after its time limit, before its slot is taken from it. */
const TIME_LIMIT_GRACE_MS = 5_000;

type Invoke = (runHandler: () => Promise<unknown>) => Promise<unknown>;

export async function runAttempt(host: AttemptHost, deps: AttemptDependencies, invoke: Invoke): Promise<AttemptEnd> {
  const { ref } = host;
  const jobType = deps.handlers.types.get(ref.jobType);
  const registered = jobType && deps.handlers.handlerOf(jobType.jobClass);
  if (!jobType || !registered) return missingHandler(host, deps);
  // Listed before the start is sent and until the outcome is answered: others must never take this job for abandoned.
  const runningHere = deps.registry ? deps.registry.running(ref.id) > 0 : false;
  const listing = deps.registry?.list(ref.id);
  const attempt = new Attempt(host, deps, jobType, registered);
  try {
    const started = await attempt.start(runningHere, listing?.inForce);
    return 'row' in started ? await attempt.run(started.row, invoke) : started;
  } finally {
    void attempt.handlerEnded.finally(() => listing?.end());
  }
}

/** Runs an attempt whose row is STARTED by it already, and which is listed until it has ended: a lane's. */
export function runStarted(host: AttemptHost, row: Row, deps: AttemptDependencies): RunningAttempt {
  const { ref } = host;
  const jobType = deps.handlers.types.get(ref.jobType)!;
  const registered = deps.handlers.handlerOf(jobType.jobClass);
  if (!registered) {
    const lost = deps.mirror.handedBack(ref, 'lost').then((): AttemptEnd => ({ kind: 'handedBack', reason: 'lost' }));
    return { handlerEnded: Promise.resolve(), ended: lost };
  }
  const attempt = new Attempt(host, deps, jobType, registered);
  const ended = attempt.run(row, (runHandler) => runHandler());
  return { handlerEnded: attempt.handlerEnded, ended };
}

async function missingHandler(host: AttemptHost, deps: AttemptDependencies): Promise<AttemptEnd> {
  const { ref, queue } = host;
  const error = missingHandlerError(deps.handlers, { jobType: ref.jobType, queue });
  deps.log.warn({ jobType: ref.jobType, jobId: ref.id, queue }, error.message);
  if (deps.handlers.types.has(ref.jobType)) await deps.mirror.waiting(ref, error, new Date(Date.now() + MISSING_HANDLER_RETRY_MS));
  return { kind: 'retry', error, delayMs: MISSING_HANDLER_RETRY_MS };
}

class Attempt {
  readonly #host: AttemptHost;
  readonly #deps: AttemptDependencies;
  readonly #type: JobType;
  readonly #registered: RegisteredHandler;
  readonly #stop = new AbortController();
  readonly #forgetHost: () => void;
  #ownLog: Log | undefined;
  /** Settles when the handler has really returned, which may be after the attempt was given up. */
  handlerEnded: Promise<void> = Promise.resolve();

  constructor(host: AttemptHost, deps: AttemptDependencies, type: JobType, registered: RegisteredHandler) {
    this.#host = host;
    this.#deps = deps;
    this.#type = type;
    this.#registered = registered;
    this.#forgetHost = follow(host.signal, () => this.#abort((host.signal.reason as AttemptStopped).reason ?? 'cancelled'));
  }

  get #ref(): AttemptRef {
    return this.#host.ref;
  }

  get #fields(): object {
    const { jobType, id, run, attempt } = this.#ref;
    return { jobType, jobId: id, run, attempt };
  }

  /** Made when something is to be said: a small job has nothing to say. */
  get #log(): Log {
    return (this.#ownLog ??= this.#deps.log.child(this.#fields));
  }

  #routine(message: string, fields: object = {}): void {
    const { log, routineLevel = 'info' } = this.#deps;
    log[routineLevel]({ ...this.#fields, ...fields }, message);
  }

  #abort(reason: StopReason): void {
    if (!this.#stop.signal.aborted) this.#stop.abort(new AttemptStopped(reason));
  }

  get #stopReason(): StopReason | null {
    return this.#stop.signal.aborted ? (this.#stop.signal.reason as AttemptStopped).reason : null;
  }

  /** Asks the row; see start-attempt.ts. */
  start(runningHere: boolean, inForce: Promise<void> | undefined): Promise<AttemptEnd | { row: Row }> {
    const { mirror, registry, isTransient } = this.#deps;
    return startAttempt({
      ref: this.#ref,
      crashRetries: this.#type.policy.crashRetries,
      runningHere,
      inForce,
      mirror,
      registry,
      isTransient,
      stop: this.#stop.signal,
      heartbeat: () => this.#host.heartbeat(),
      log: () => this.#log,
    });
  }

  async run(row: Row, invoke: Invoke): Promise<AttemptEnd> {
    const { application, orm } = this.#deps;
    this.#routine('started');
    try {
      return await runInApplication(application, () => RequestContext.create(orm.em, () => this.#runInContext(row, invoke)));
    } finally {
      this.#forgetHost();
    }
  }

  async #runInContext(row: Row, invoke: Invoke): Promise<AttemptEnd> {
    const em = this.#deps.orm.em.getContext() as MikroORM['em'];
    const job = entityOf(em, this.#type.jobClass, row);
    const { times } = this.#deps;
    const of = { jobType: this.#ref.jobType, queue: this.#host.queue };
    const waitedMs = waitOf(job);
    if (waitedMs !== null) times.waited(of, waitedMs);
    const progress = this.#deps.openProgress(this.#ref, {
      overtaken: () => this.#abort('overtaken'),
      revokeRequested: () => this.#abort('revoked'),
      failed: (error) => this.#log.warn({ err: error }, 'progress could not be written; it is kept'),
    });
    // The engine gave the attempt up: whether the row still names it, only the row knows.
    if (this.#host.lost) follow(this.#host.lost, () => void progress.ask());
    this.#host.onRawHeartbeat?.((details) => progress.report(reportOf(details)));
    const untilWritten = <R>(write: () => Promise<R>) => this.#untilWritten(write, this.#stop.signal);
    const task = new AttemptTask({
      host: this.#host,
      job,
      em,
      progress,
      signal: this.#stop.signal,
      log: () => this.#log,
      mirror: this.#deps.mirror,
      untilWritten,
      toCallerError: this.#deps.toCallerError,
      overtaken: () => this.#abort('overtaken'),
    });
    const runHandler = async () => {
      if (this.#registered.populate.length > 0) await em.populate(job, this.#registered.populate as never);
      return this.#registered.handler(task, job);
    };
    const attempt = { ref: this.#ref, job, runHandler, signal: this.#stop.signal, untilWritten, overtaken: () => this.#abort('overtaken') };
    const { runTimeoutMs } = this.#type.policy;
    const forgetTimeLimit = runTimeoutMs === null ? () => undefined : after(runTimeoutMs, () => this.#abort('time_limit'));
    const unwatch = this.#deps.registry?.watch(this.#ref, runTimeoutMs, {
      overtaken: () => this.#abort('overtaken'),
      revokeRequested: () => this.#abort('revoked'),
    });
    const beganAt = performance.now();
    const end = await this.#unlessItIgnoresTheTimeLimit(withAttempt(attempt, async () => invoke(runHandler))).then(
      (output) => ({ output }),
      (error: unknown) => ({ error }),
    );
    const ranMs = performance.now() - beganAt;
    forgetTimeLimit();
    unwatch?.();
    // What the handler said last is written before its outcome: afterwards the row refuses it.
    await progress.close();
    const ended = await ('error' in end ? this.#ended(job, end.error) : this.#succeeded(em, job, end.output));
    times.ran({ ...of, outcome: ended.kind }, ranMs);
    return ended;
  }

  /** A handler that goes on long after its time limit loses its slot; what it does later is refused by the row. */
  async #unlessItIgnoresTheTimeLimit(handler: Promise<unknown>): Promise<unknown> {
    this.handlerEnded = handler.then(
      () => undefined,
      () => undefined,
    );
    if (this.#type.policy.runTimeoutMs === null) return handler;
    const ignored = new Promise<never>((_, reject) => {
      follow(this.#stop.signal, () => {
        if (this.#stopReason !== 'time_limit') return;
        const grace = setTimeout(() => reject(new HandlerHangs()), TIME_LIMIT_GRACE_MS);
        void this.handlerEnded.then(() => clearTimeout(grace));
      });
    });
    ignored.catch(() => undefined);
    return Promise.race([handler, ignored]);
  }

  async #succeeded(em: MikroORM['em'], job: AsyncJob, output: unknown): Promise<AttemptEnd> {
    let own: OwnChanges;
    try {
      checkOutput(output, this.#ref.jobType);
      own = ownChanges(em, job);
    } catch (error) {
      return this.#failed(job, error, 'failed');
    }
    let result: WriteResult;
    try {
      result = await this.#untilWritten(() => this.#deps.mirror.succeeded(this.#ref, { output, own }));
    } catch (error) {
      // A value that does not fit, a constraint, a trigger or a policy that says no: the same write would be refused again,
      // and repeating the handler for it would repeat what it did.
      const columns = Object.keys(own).join(', ') || 'output';
      const message = `the handler's values were refused by the database (${(error as Error).message}); changed columns: ${columns}.`;
      return this.#failed(job, new AsyncJobError('handler.value_invalid', message, { cause: error }), 'failed');
    }
    if (result === 'stale') {
      this.#log.warn({}, 'finished, but another attempt or a revocation has taken the row: the result is dropped');
      return { kind: 'refused', why: 'overtaken before the result was written' };
    }
    this.#routine('succeeded');
    return { kind: 'succeeded' };
  }

  /** The handler threw, or was stopped. */
  async #ended(job: AsyncJob, error: unknown): Promise<AttemptEnd> {
    const reason = this.#stopReason;
    switch (reason) {
      case null:
        return this.#failed(job, error, 'failed');
      case 'time_limit':
        return this.#failed(job, timeLimitError(this.#type.policy.runTimeoutMs, error), 'time_limit');
      case 'cancelled': {
        // Asked for in Temporal, not through the row: the workflow's last word writes it, unless the row asks as well.
        const { revokeRequested } = await this.#untilWritten(() => this.#deps.mirror.progress(this.#ref, {}));
        if (!revokeRequested) return { kind: 'cancelled' };
        return this.#handedBack('lost');
      }
      default:
        return this.#handedBack(handBackReason(reason));
    }
  }

  async #failed(job: AsyncJob, error: unknown, outcome: FailureOutcome): Promise<AttemptEnd> {
    const failures = job.failures + 1;
    const { record, decision, handlerGoesOn } = judgeFailure(error, failures, this.#type.policy.retry);
    const nextAttemptAt = decision.retry ? new Date(Date.now() + decision.delayMs) : null;
    const end = await this.#writeFailure({ error: record, nextAttemptAt, outcome, handlerGoesOn });
    const taken = this.#taken(end);
    if (taken) return taken;
    this.#log.error({ err: error, failures, nextAttemptAt }, decision.retry ? 'failed, will be tried again' : 'failed');
    return decision.retry ? { kind: 'retry', error: record, delayMs: decision.delayMs } : { kind: 'failed', error: record };
  }

  async #writeFailure(failure: AttemptFailure): Promise<EndResult> {
    try {
      return await this.#untilWritten(() => this.#deps.mirror.failed(this.#ref, failure));
    } catch (error) {
      // The failure itself is refused: whatever the row takes is better than an attempt without an outcome.
      this.#log.error({ err: error }, 'the failure could not be written as it is');
      const { type, code, retryable } = failure.error;
      const record = { type, message: `(the message was refused by the database: ${(error as Error).message})`, code, retryable };
      return this.#untilWritten(() => this.#deps.mirror.failed(this.#ref, { ...failure, error: record }));
    }
  }

  async #handedBack(reason: HandBackReason): Promise<AttemptEnd> {
    const end = await this.#untilWritten(() => this.#deps.mirror.handedBack(this.#ref, reason));
    const taken = this.#taken(end);
    if (taken) return taken;
    this.#routine('handed back', { reason });
    return { kind: 'handedBack', reason };
  }

  #taken({ result, status }: EndResult): AttemptEnd | null {
    if (status === 'REVOKED') {
      this.#routine('revoked');
      return { kind: 'revoked' };
    }
    return result === 'stale' ? { kind: 'refused', why: `another attempt has taken the row (it is ${status ?? 'gone'})` } : null;
  }

  /**
   * The outcome of finished work, and what a handler keeps for its next attempt, must not be lost because PostgreSQL is
   * away: the write is repeated, until `whileThis` aborts, and heartbeats go on.
   */
  async #untilWritten<R>(write: () => Promise<R>, whileThis?: AbortSignal): Promise<R> {
    for (let delayMs = 100; ; delayMs = Math.min(delayMs * 2, WRITE_RETRY_MAX_MS)) {
      try {
        return await write();
      } catch (error) {
        // Tables that a migration is changing: the outcome waits for it.
        if (!this.#deps.isTransient(error) && !isAsyncJobError(error, 'database.schema')) throw error;
        if (whileThis?.aborted) throw error;
        this.#log.warn({ err: error }, 'the row could not be written yet; trying again');
        this.#host.heartbeat();
        await pause(delayMs, whileThis);
      }
    }
  }
}

/**
 * From when the job was due to its start. `null` after a failure or a crash: a start forgets when the next attempt was due.
 */
function waitOf({ failures, crashes, enqueuedAt, createdAt, runAt, startedAt }: AsyncJob): number | null {
  if (failures > 0 || crashes > 0 || !startedAt) return null;
  const dueAt = Math.max((enqueuedAt ?? createdAt).getTime(), runAt?.getTime() ?? 0);
  return Math.max(0, startedAt.getTime() - dueAt);
}
