// The class that users extend: their columns plus ours, and what one says to a job. It stores nothing and decides
// nothing itself: every call goes to the application that the job belongs to.
import { PrimaryKeyProp, type FilterQuery, type FindOptions, type Loaded, type Opt } from '@mikro-orm/core';
import type { ErrorRecord } from '../domain/errors.ts';
import { AsyncJobError } from '../domain/errors.ts';
import { isSettled, OPEN_STATUSES, type Status } from '../domain/lifecycle.ts';
import { applicationOf, type BoundJob } from './application.ts';
import type { Duration } from './duration.ts';
import { registerHandler } from './handler-registry.ts';
import type { DataThen, EnqueueOptions, JobClass, JobHandler, JobInput, WaitOptions, Within } from './job-types.ts';
import type { JobOptions } from './job-options.ts';

/**
 * A durable job: a row in the user's database that Temporal executes.
 *
 * Extend it through `asyncJob(name, columns)`, or directly with MikroORM's decorators. Lifecycle columns are
 * read-only: the library writes them, and a flush of yours never does.
 */
export abstract class AsyncJob {
  declare [PrimaryKeyProp]?: 'id';

  /** UUID version 7, known before the INSERT. */
  declare readonly id: Opt<string>;
  declare readonly status: Opt<Status>;
  declare readonly queue: Opt<string>;
  /** 1 (first) to 5 (last); `null` = the class's. */
  declare readonly priority?: number | null;
  /** Not before this time. */
  declare readonly runAt?: Date | null;
  /** Not after this time. */
  declare readonly expiresAt?: Date | null;
  declare readonly uniqueKey?: string | null;

  /** 0 while NEW, then +1 at each enqueue, retry, or re-dispatch after a loss. */
  declare readonly run: Opt<number>;
  /** Attempts of this run, as Temporal numbers them. */
  declare readonly attempt: Opt<number>;
  /** Attempts of this run that the handler itself failed. */
  declare readonly failures: Opt<number>;
  /** Attempts of this run that ended with the death of their worker. */
  declare readonly crashes: Opt<number>;
  declare readonly workflowId?: string | null;
  /** Temporal's id of the execution; `null` = not dispatched yet, or since less than a moment. */
  declare readonly runId?: string | null;
  /** The worker that ran it last. */
  declare readonly workerId?: string | null;
  /** The worker whose execution has not ended yet, and its newest beat when it started: for the guards. */
  declare readonly holder?: string | null;
  declare readonly holderBeat?: number | null;

  declare readonly createdAt: Opt<Date>;
  declare readonly updatedAt: Opt<Date>;
  declare readonly enqueuedAt?: Date | null;
  declare readonly startedAt?: Date | null;
  declare readonly endedAt?: Date | null;
  declare readonly nextAttemptAt?: Date | null;

  /** 0 to 1. */
  declare readonly progress?: number | null;
  declare readonly progressMessage?: string | null;
  /** What `task.saveCheckpoint()` stored last; `declare checkpoint?: { … } | null` in a class types it. */
  declare readonly checkpoint?: unknown;
  /** What the handler returned; `declare output?: { … } | null` in a class types it. */
  declare readonly output?: unknown;
  /** The last exception as `Type: message`. */
  declare readonly errorMessage?: string | null;
  declare readonly error?: ErrorRecord | null;

  declare readonly revokeRequestedAt?: Date | null;
  declare readonly revokeReason?: string | null;
  declare readonly revokedBy?: string | null;

  /** The queue of jobs that are enqueued without naming one. */
  static defaultQueue = 'default';
  /** How jobs of this class run; replaces the parent's options, and comes on top of the configuration's `defaults`. */
  static options: JobOptions = {};
  /** The job's name outside: Temporal's workflow type, and in every list. Default: the class's name. */
  static jobType?: string;

  /** PENDING or STARTED. */
  get isBusy(): Opt<boolean> {
    return OPEN_STATUSES.includes(this.status);
  }

  /** SUCCESS, FAILURE or REVOKED. */
  get isFinished(): Opt<boolean> {
    return isSettled(this.status);
  }

  get isSuccessful(): Opt<boolean> {
    return this.status === 'SUCCESS';
  }

  /** Seconds from creation to the start, or to now or the end when it never started. */
  waitTime(): number {
    return seconds(this.createdAt, this.startedAt ?? this.endedAt ?? new Date());
  }

  /** Seconds from the start to the end, or to now; `null` when it has not started. */
  runningTime(): number | null {
    return this.startedAt ? seconds(this.startedAt, this.endedAt ?? new Date()) : null;
  }

  /**
   * NEW → PENDING: the job will run, or end in a status that a person can see, whatever crashes from here on.
   *
   * Joins the transaction of `options.em`, else of the job's own EntityManager, else the ambient one, and dispatches
   * after the outermost commit. Outside a transaction it resolves when the row is committed and Temporal has
   * acknowledged the start, or could not be reached (a worker dispatches it later).
   *
   * @throws AsyncJobError `job.move_refused` when it is not NEW, `job.not_persisted` when it has no row
   */
  async enqueue(options: EnqueueOptions = {}): Promise<this> {
    await applicationOf(this, options.em).enqueue(this, options);
    return this;
  }

  /**
   * Asks for the job not to run, or to stop; idempotent. NEW and PENDING become REVOKED at once; a running job's
   * `task.signal` aborts within a second of the commit, also while Temporal is away, and the row is REVOKED when the
   * handler has stopped. `terminate` does not wait for the handler.
   *
   * Returns the status after it: REVOKED (it will not run), STARTED (it was asked to stop), or how it had ended before.
   *
   * @throws AsyncJobError `job.not_persisted` when it has no row, `settings.invalid`
   */
  async revoke(options: RevokeOptions = {}): Promise<Status> {
    return applicationOf(this, options.em).revoke(this, options);
  }

  /**
   * FAILURE or REVOKED → PENDING: the same row, its next run; counters start anew.
   *
   * @throws AsyncJobError `job.move_refused` from any other status
   */
  async retry(options: EnqueueOptions = {}): Promise<this> {
    await applicationOf(this, options.em).retry(this, options);
    return this;
  }

  /**
   * Resolves with the job when it is settled: SUCCESS, FAILURE or REVOKED (none of which it throws).
   *
   * @throws AsyncJobError `job.wait_timeout`, `job.not_found`, `job.wait_in_transaction`; the signal's reason
   */
  async wait(options: WaitOptions = {}): Promise<this> {
    await applicationOf(this).wait(this, options);
    return this;
  }

  /** Re-reads this row, and nothing else. Unsaved changes of its own columns are lost. */
  async refresh(options: Within = {}): Promise<this> {
    await applicationOf(this, options.em).refresh(this, options);
    return this;
  }

  /**
   * Writes the changed own columns of this row, and nothing else.
   *
   * @throws AsyncJobError in a handler `attempt.overtaken` when another attempt or a revocation has taken the row
   */
  async save(options: Within = {}): Promise<this> {
    await applicationOf(this, options.em).save(this, options);
    return this;
  }

  /**
   * Registers the one handler of this class: `(task, job) => output`.
   *
   * @throws AsyncJobError `handler.duplicate`, `handler.unbound`
   */
  static handler<T extends AsyncJob>(this: JobClass<T>, handler: JobHandler<T>, options: { populate?: string[] } = {}): void {
    // `const { handler } = MyJob` or a decorator of a legacy toolchain loses the class.
    if (typeof this !== 'function' || this === (AsyncJob as unknown)) {
      throw new AsyncJobError('handler.unbound', 'handler() was called without its class. Call it as MyJob.handler((task, job) => …).');
    }
    registerHandler(this, handler as JobHandler, options);
  }

  /** Inserts a NEW row, and nothing else. @throws AsyncJobError `relation.unsaved`, `job.value_invalid`, `database.schema` */
  static create<T extends AsyncJob>(this: JobClass<T>, ...[data, options]: DataThen<T, Within>): Promise<T> {
    return bound(this, options).create(...([data, options] as DataThen<T, Within>));
  }

  /** `create` and `job.enqueue()` in one INSERT. */
  static enqueue<T extends AsyncJob>(this: JobClass<T>, ...[data, options]: DataThen<T, EnqueueOptions>): Promise<T> {
    return bound(this, options).enqueue(...([data, options] as DataThen<T, EnqueueOptions>));
  }

  /** Many at once: one INSERT per thousand rows that set the same columns, all in one transaction. Returns their ids, in the order of `rows`. */
  static enqueueMany<T extends AsyncJob>(this: JobClass<T>, rows: Iterable<JobInput<T>>, options?: EnqueueOptions): Promise<string[]> {
    return bound(this, options).enqueueMany(rows, options);
  }

  /**
   * `job.revoke()` for every job that matches, as for `find()`; `{}` means all of the class. Settled ones are skipped.
   *
   * A thousand jobs at a time, all in the caller's transaction, or else each thousand in its own. Then Temporal is told; if
   * it is away the call ends all the same, since the rows are right. Instances that you hold stay as they are.
   *
   * Each job is asked once more whether it matches when its row is locked to be moved: `{ status: 'PENDING' }` leaves those
   * alone that a worker has started meanwhile. What the condition says of other tables' rows holds at that moment, too; these
   * are not locked.
   *
   * Returns the ids of the jobs that are REVOKED now, or are running and were asked to stop, in their order.
   *
   * @throws AsyncJobError `settings.invalid` for unknown options, without a condition, or with `undefined` in it
   */
  static revokeMany<T extends AsyncJob>(this: JobClass<T>, where: FilterQuery<T>, options?: RevokeOptions): Promise<string[]> {
    return bound(this, options).revokeMany(where, options);
  }

  /**
   * `job.retry()` for every job that matches and is FAILURE or REVOKED, as `revokeMany`; others are skipped.
   *
   * Returns the ids of the jobs that are PENDING now, in their order.
   *
   * @throws AsyncJobError `settings.invalid`, as for `revokeMany`
   */
  static retryMany<T extends AsyncJob>(this: JobClass<T>, where: FilterQuery<T>, options?: EnqueueOptions): Promise<string[]> {
    return bound(this, options).retryMany(where, options);
  }

  /** The job with this id; `null` when there is none. */
  static get<T extends AsyncJob>(this: JobClass<T>, id: string, options?: Within): Promise<T | null> {
    return bound(this, options).get(id, options);
  }

  static find<T extends AsyncJob, H extends string = never>(
    this: JobClass<T>,
    where: FilterQuery<T>,
    options?: FindOptions<T, H> & Within,
  ): Promise<Loaded<T, H>[]> {
    return bound(this, options).find(where, options);
  }

  /** The job created last; `null` when there is none. */
  static latest<T extends AsyncJob>(this: JobClass<T>, options?: Within): Promise<T | null> {
    return bound(this, options).latest(options);
  }

  static count<T extends AsyncJob>(this: JobClass<T>, where?: FilterQuery<T>, options?: Within): Promise<number> {
    return bound(this, options).count(where, options);
  }
}

export interface RevokeOptions extends Within {
  /** Why, for people: `job.revokeReason`, and in Temporal's UI. Of a job that still runs, the one given last counts. */
  reason?: string;
  /** Who revokes, for people: `job.revokedBy`. */
  by?: string;
  /** Do not wait for a running handler: REVOKED at once, and whatever it writes later is refused. @default false */
  terminate?: boolean;
}

function bound<T extends AsyncJob>(jobClass: JobClass<T>, options?: Within): BoundJob<T> {
  return applicationOf(null, options?.em).of(jobClass);
}

function seconds(from: Date, to: Date): number {
  return Math.max(0, to.getTime() - from.getTime()) / 1_000;
}

export type { Duration };
