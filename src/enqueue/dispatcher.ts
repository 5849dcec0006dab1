// Hands committed runs to the engine and notes the execution on the row. Used by who enqueued, and by the relay for
// what was left behind. It never throws: the row is durable, and the relay comes by again.
import { isAsyncJobError } from '../domain/errors.ts';
import { workflowIdOf } from '../domain/identity.ts';
import type { JobPolicy } from '../domain/job-policy.ts';
import type { Dispatched, JobEngine, JobMirror, Log, RunRef } from '../domain/ports.ts';

/** A run that is committed as PENDING and shall be executed. */
export interface CommittedRun extends RunRef {
  queue: string;
  runAt: Date | null;
  priority: number | null;
}

export class Dispatcher {
  readonly #engine: JobEngine;
  readonly #mirror: JobMirror;
  readonly #policyOf: (jobType: string) => JobPolicy;
  readonly #log: Log;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(engine: JobEngine, mirror: JobMirror, policyOf: (jobType: string) => JobPolicy, log: Log) {
    this.#engine = engine;
    this.#mirror = mirror;
    this.#policyOf = policyOf;
    this.#log = log;
  }

  /** Whether the engine has taken the run; false when it could not be reached. */
  async dispatch(run: CommittedRun): Promise<boolean> {
    const policy = this.#policyOf(run.jobType);
    try {
      const dispatched = await this.#engine.dispatch({
        jobType: run.jobType,
        id: run.id,
        run: run.run,
        queue: run.queue,
        startAt: run.runAt && run.runAt.getTime() > Date.now() ? run.runAt : null,
        priority: run.priority ?? policy.priority,
        heartbeatTimeoutMs: policy.heartbeatTimeoutMs,
        totalTimeoutMs: policy.totalTimeoutMs,
      });
      await this.#note(run, dispatched);
      return true;
    } catch (error) {
      const away = isAsyncJobError(error, 'temporal.unavailable');
      const fields = { jobType: run.jobType, jobId: run.id, run: run.run };
      // No stack for an outage: the line comes once per job.
      if (away)
        this.#log.warn({ ...fields, why: error.message }, 'not dispatched yet: Temporal is away; a worker dispatches it when it is back');
      else this.#log.error({ ...fields, err: error }, 'not dispatched: a worker tries again');
      return false;
    }
  }

  async #note(run: CommittedRun, { runId, outcome }: Dispatched): Promise<void> {
    if (outcome === 'closed')
      this.#log.warn(
        { jobType: run.jobType, jobId: run.id, run: run.run, runId },
        'this run was executed before; the reconciler settles its row',
      );
    await this.#mirror.dispatched(run, runId, workflowIdOf(run.jobType, run.id, run.run));
  }

  /** Lets work go on after its caller's commit; `settled()` waits for it. */
  track(work: Promise<unknown>): void {
    const tracked: Promise<unknown> = work.catch((error: unknown) => this.report(error)).finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  /** Something that Temporal should have heard after a commit failed; the row says the same, durably. */
  report(error: unknown): void {
    this.#log.warn({ err: error }, 'Temporal could not be told after the commit; the row is right, and a worker repeats it');
  }

  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }
}
