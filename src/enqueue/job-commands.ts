// What one does with jobs from outside: create, enqueue, revoke, retry. Each is one statement in the caller's
// transaction; what Temporal has to hear goes out after the outermost commit.
import { raw } from '@mikro-orm/core';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { AsyncJobError, type ErrorCode } from '../domain/errors.ts';
import type { Status } from '../domain/lifecycle.ts';
import type { CommittedRun, JobEngine, Row } from '../domain/ports.ts';
import type { AsyncJob, RevokeOptions } from '../entity/async-job.ts';
import { toMilliseconds } from '../entity/duration.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import type { EnqueueOptions, JobClass, Within } from '../entity/job-types.ts';
import { managerOf, ownChanges, rememberRow, takeLifecycle, takeRow } from '../entity/own-changes.ts';
import type { JobTable } from '../mirror/job-table.ts';
import { enqueueStatement, retryStatement, revokeStatement } from '../mirror/statements.ts';
import type { AfterCommit } from './after-commit.ts';
import { buildJob, insertJob, insertJobs, type InitialState } from './create-job.ts';
import { toCallerError, type DatabaseErrorKinds } from './database-errors.ts';
import type { Dispatcher } from './dispatcher.ts';
import { entityManagerFor } from './entity-manager.ts';
import { execute } from './execute.ts';
import { checkEnqueueOptions } from './enqueue-options.ts';

export interface JobCommandsParts {
  orm: MikroORM;
  tables: ReadonlyMap<string, JobTable>;
  engine: JobEngine;
  dispatcher: Dispatcher;
  afterCommit: AfterCommit;
  databaseErrors: DatabaseErrorKinds;
  /** The engine runs the job where it is enqueued: wait for it even in a transaction's commit. */
  inline: boolean;
  /** Throws when this job class cannot be run or is not of this application. */
  check(jobClass: JobClass, willRun: boolean): void;
}

const ROWS_PER_INSERT = 1_000;
const DISPATCHES_AT_ONCE = 50;

export class JobCommands {
  readonly #parts: JobCommandsParts;

  constructor(parts: JobCommandsParts) {
    this.#parts = parts;
  }

  async create<T extends AsyncJob>(jobClass: JobClass<T>, data: object = {}, { em: given }: Within = {}): Promise<T> {
    this.#parts.check(jobClass, false);
    const em = entityManagerFor(this.#parts.orm, null, given);
    return this.#writing(jobClass, async () => {
      const job = buildJob(em, jobClass, data, {});
      await insertJob(em, job);
      return job;
    });
  }

  async enqueueNew<T extends AsyncJob>(jobClass: JobClass<T>, data: object = {}, options: EnqueueOptions = {}): Promise<T> {
    checkEnqueueOptions(options);
    this.#parts.check(jobClass, true);
    const em = entityManagerFor(this.#parts.orm, null, options.em);
    const job = await this.#writing(jobClass, async () => {
      const built = buildJob(em, jobClass, data, initialState(options));
      await insertJob(em, built);
      return built;
    });
    await this.#committed(em, () => this.#dispatch(job));
    return job;
  }

  async enqueueMany<T extends AsyncJob>(jobClass: JobClass<T>, rows: Iterable<object>, options: EnqueueOptions = {}): Promise<string[]> {
    checkEnqueueOptions(options);
    this.#parts.check(jobClass, true);
    const outer = entityManagerFor(this.#parts.orm, null, options.em);
    const runs: CommittedRun[] = [];
    let ofRows: { error: unknown } | undefined;
    const given = passedOn(rows, (error) => (ofRows = { error }));
    const insertAll = async (em: EntityManager) => {
      for (const chunk of chunksOf(given, ROWS_PER_INSERT)) {
        // A fork that shares the transaction: the caller's identity map does not grow by every row.
        const fork = em.fork({ keepTransactionContext: true });
        const jobs = chunk.map((data) => buildJob(fork, jobClass, data, initialState(options)));
        await insertJobs(fork, jobClass, jobs);
        runs.push(...jobs.map(committedRunOf));
      }
    };
    await this.#writing(jobClass, () =>
      outer.isInTransaction() ? insertAll(outer) : outer.fork().transactional((em) => insertAll(em as EntityManager)),
    ).catch((error: unknown) => {
      throw ofRows ? ofRows.error : error;
    });
    await this.#committed(outer, () => this.#dispatchAll(runs));
    return runs.map(({ id }) => id);
  }

  enqueue(job: AsyncJob, options: EnqueueOptions): Promise<void> {
    return this.#move(job, 'enqueue', options);
  }

  retry(job: AsyncJob, options: EnqueueOptions): Promise<void> {
    return this.#move(job, 'retry', options);
  }

  async revoke(job: AsyncJob, { em: given, reason, by, terminate = false }: RevokeOptions): Promise<Status> {
    const jobClass = classOf(job);
    this.#parts.check(jobClass, false);
    const em = entityManagerFor(this.#parts.orm, job, given);
    const [row] = await this.#execute(em, jobClass, revokeStatement(this.#table(jobClass), NO_LIBRARY), [
      job.id,
      reason ?? null,
      by ?? null,
      terminate,
    ]);
    if (!row) return this.#statusOf(em, job); // settled already: idempotent
    this.#parts.afterCommit.onRollback(em, rememberRow(job));
    takeLifecycle(managerOf(job) ?? em, job, row);
    if (job.run > 0 || job.runId) await this.#committed(em, () => this.#tellEngine(job, terminate, reason));
    return job.status;
  }

  async #tellEngine(job: AsyncJob, terminate: boolean, reason = 'revoked'): Promise<void> {
    const ref = { jobType: jobTypeOf(classOf(job)), id: job.id, run: job.run };
    await (terminate ? this.#parts.engine.terminate(ref, reason) : this.#parts.engine.cancel(ref, reason));
  }

  /** To PENDING, with the job's unsaved own columns; refused ones say why. */
  async #move(job: AsyncJob, verb: 'enqueue' | 'retry', options: EnqueueOptions): Promise<void> {
    checkEnqueueOptions(options);
    const jobClass = classOf(job);
    this.#parts.check(jobClass, true);
    const em = entityManagerFor(this.#parts.orm, job, options.em);
    const own = ownChanges(managerOf(job) ?? em, job);
    const statement = (verb === 'enqueue' ? enqueueStatement : retryStatement)(this.#table(jobClass), Object.keys(own));
    const parameters = [job.id, options.queue ?? null, notBefore(options), options.priority ?? null, ...Object.values(own)];
    const [row] = await this.#execute(em, jobClass, statement, parameters);
    if (!row) throw await this.#refusal(em, job, verb);
    this.#parts.afterCommit.onRollback(em, rememberRow(job));
    takeRow(managerOf(job) ?? em, job, row);
    await this.#committed(em, () => this.#dispatch(job));
  }

  async #refusal(em: EntityManager, job: AsyncJob, verb: 'enqueue' | 'retry'): Promise<AsyncJobError> {
    const status = await this.#statusOf(em, job);
    const advice =
      verb === 'enqueue'
        ? status === 'FAILURE' || status === 'REVOKED'
          ? ' Use job.retry().'
          : ''
        : status === 'NEW'
          ? ' Use job.enqueue().'
          : '';
    return new AsyncJobError('job.move_refused', `cannot ${verb} ${jobTypeOf(classOf(job))} ${job.id}: it is ${status}.${advice}`);
  }

  async #statusOf(em: EntityManager, job: AsyncJob): Promise<Status> {
    const jobClass = classOf(job);
    const { name, columns } = this.#table(jobClass);
    const [row] = await this.#execute(
      em,
      jobClass,
      `select j.${columns['status']} as status from ${name} j where j.${columns['id']} = $1`,
      [job.id],
    );
    if (row) return row['status'] as Status;
    throw notPersisted(job);
  }

  #execute(em: EntityManager, jobClass: JobClass, statement: string, parameters: unknown[]): Promise<Row[]> {
    return this.#writing(jobClass, () => execute(em, statement, parameters));
  }

  async #writing<R>(jobClass: JobClass, write: () => Promise<R>): Promise<R> {
    try {
      return await write();
    } catch (error) {
      throw toCallerError(error, jobTypeOf(jobClass), this.#parts.databaseErrors);
    }
  }

  /** Runs `tell` after the outermost commit; outside of a transaction now. */
  async #committed(em: EntityManager, tell: () => Promise<unknown>): Promise<void> {
    const { afterCommit, dispatcher, inline } = this.#parts;
    const soon = inline ? tell : () => dispatcher.track(tell());
    if (!afterCommit.add(em, soon)) await tell().catch((error: unknown) => dispatcher.report(error));
  }

  async #dispatch(job: AsyncJob): Promise<void> {
    await this.#parts.dispatcher.dispatch(committedRunOf(job));
  }

  async #dispatchAll(runs: CommittedRun[]): Promise<void> {
    const queue = runs.values();
    const next = async () => {
      for (const run of queue) {
        // The relay dispatches the rest when Temporal is back.
        if ((await this.#parts.dispatcher.dispatch(run)) === 'away') return;
      }
    };
    await Promise.all(Array.from({ length: this.#parts.inline ? 1 : DISPATCHES_AT_ONCE }, next));
  }

  #table(jobClass: JobClass): JobTable {
    return this.#parts.tables.get(jobTypeOf(jobClass))!;
  }
}

const NO_LIBRARY = { attempts: '', workers: '' };

function initialState(options: EnqueueOptions): InitialState {
  return {
    status: 'PENDING',
    run: 1,
    enqueuedAt: raw('now()'),
    ...(options.queue === undefined ? {} : { queue: options.queue }),
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    runAt: notBefore(options),
  };
}

function notBefore({ delay, runAt }: EnqueueOptions): Date | null {
  return runAt ?? (delay === undefined ? null : new Date(Date.now() + toMilliseconds(delay, 'delay')));
}

function committedRunOf(job: AsyncJob): CommittedRun {
  return {
    jobType: jobTypeOf(classOf(job)),
    id: job.id,
    run: job.run,
    queue: job.queue,
    runAt: job.runAt ?? null,
    priority: job.priority ?? null,
  };
}

function classOf(job: AsyncJob): JobClass {
  return job.constructor as unknown as JobClass;
}

export function notPersisted(job: AsyncJob, code: ErrorCode = 'job.not_persisted'): AsyncJobError {
  return new AsyncJobError(
    code,
    `${jobTypeOf(classOf(job))} ${job.id} has no row: it was never flushed, its transaction was rolled back, or it was deleted. Create it anew with ${classOf(job).name}.create().`,
  );
}

/** What iterating throws is the caller's own error, and no database's. */
function* passedOn<T>(items: Iterable<T>, onError: (error: unknown) => void): Generator<T> {
  try {
    yield* items;
  } catch (error) {
    onError(error);
    throw error;
  }
}

function* chunksOf<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    if (chunk.push(item) < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
