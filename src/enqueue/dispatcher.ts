// Hands committed runs to the engine and notes the execution on the row. Used by who enqueued, and by the relay for
// what was left behind. It never throws: the row is durable, and the relay comes by again.
import { isAsyncJobError, toErrorRecord } from '../domain/errors.ts';
import type { JobPolicy } from '../domain/job-policy.ts';
import type { CommittedRun, DispatchResult, JobEngine, JobMirror, Log } from '../domain/ports.ts';

const REFUSED_RETRY_MS = 60_000;

export class Dispatcher {
  readonly #engine: JobEngine;
  readonly #mirror: JobMirror;
  readonly #policyOf: (jobType: string) => JobPolicy;
  readonly #log: Log;
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #notes = new Set<Promise<unknown>>();

  constructor(engine: JobEngine, mirror: JobMirror, policyOf: (jobType: string) => JobPolicy, log: Log) {
    this.#engine = engine;
    this.#mirror = mirror;
    this.#policyOf = policyOf;
    this.#log = log;
  }

  /** Hands one run to the engine; never throws. The row names the execution soon after (`noted()`). */
  async dispatch(run: CommittedRun): Promise<DispatchResult> {
    const fields = { jobType: run.jobType, jobId: run.id, run: run.run };
    try {
      await this.#dispatch(run);
      return 'dispatched';
    } catch (error) {
      if (isAsyncJobError(error, 'temporal.unavailable')) {
        // No stack for an outage: the line comes once per job.
        this.#log.warn({ ...fields, why: error.message }, 'not dispatched yet: Temporal is away; a worker dispatches it when it is back');
        return 'away';
      }
      this.#log.error({ ...fields, err: error }, 'not dispatched; the row says why, and a worker tries again');
      await this.#noteRefusal(run, error);
      return 'refused';
    }
  }

  async #dispatch(run: CommittedRun): Promise<void> {
    const policy = this.#policyOf(run.jobType);
    const { workflowId, runId, outcome } = await this.#engine.dispatch({
      jobType: run.jobType,
      id: run.id,
      run: run.run,
      queue: run.queue,
      startAt: run.runAt && run.runAt.getTime() > Date.now() ? run.runAt : null,
      priority: run.priority ?? policy.priority,
      heartbeatTimeoutMs: policy.heartbeatTimeoutMs,
      totalTimeoutMs: policy.totalTimeoutMs,
    });
    if (outcome !== 'closed') {
      this.#note(run, runId, workflowId);
      return;
    }
    // This run was executed before, although the row does not know. Either it was dispatched a moment ago, by somebody who died
    // before it was noted, and people have ended it since: they are obeyed.
    const { status, end } = await this.#engine.describe(run);
    if (status === 'terminated' && end && !end.byThisLibrary) {
      await this.#mirror.ended(run, null, { by: end.by, reason: end.reason });
      return;
    }
    // Or the database was restored from a backup, or an id was used again: an execution of then is no outcome, so the job gets
    // its next run.
    const next = await this.#mirror.nextRun(run, null, { why: 'the run had been executed before', worker: null });
    if (next?.status === 'PENDING') await this.#dispatch({ ...run, run: next.run });
  }

  /** Nobody waits for it: mostly the job starts first, which notes the same. */
  #note(run: CommittedRun, runId: string, workflowId: string): void {
    const note: Promise<unknown> = this.#mirror
      .dispatched(run, runId, workflowId)
      .catch((error: unknown) => {
        const fields = { jobType: run.jobType, jobId: run.id, run: run.run, why: (error as Error).message };
        this.#log.warn(fields, 'dispatched, but the row does not say so yet; the job itself or a worker notes it');
      })
      .finally(() => this.#notes.delete(note));
    this.#notes.add(note);
  }

  /** Resolves when what was dispatched so far is noted on the rows, or could not be. */
  async noted(): Promise<void> {
    this.#mirror.flush();
    await Promise.all(this.#notes);
  }

  /** Where a person looks first; and the relay leaves it alone for a while instead of stumbling over it. */
  async #noteRefusal(run: CommittedRun, error: unknown): Promise<void> {
    const record = toErrorRecord(error, true);
    await this.#mirror.waiting({ ...run, runId: '' }, record, new Date(Date.now() + REFUSED_RETRY_MS)).catch((failure: unknown) => {
      this.#log.warn({ err: failure }, 'the refusal could not be noted on the row');
    });
  }

  /** Lets work go on after its caller's commit; `settled()` waits for it. */
  track(work: Promise<unknown>): void {
    const tracked: Promise<unknown> = work.catch((error: unknown) => this.report(error)).finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  /** Something that Temporal should have heard after a commit failed; the row says the same, durably. */
  report(error: unknown): void {
    this.#log.warn({ err: error }, 'Temporal could not be told after the commit; the row is right, and workers follow it');
  }

  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    await this.noted();
  }
}
