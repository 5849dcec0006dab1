// What one does with a job from outside: create, enqueue, revoke, retry. Each is one statement in the caller's
// transaction; what Temporal has to hear goes out after the outermost commit. Many at once: many-jobs.ts.
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { AsyncJobError, type ErrorCode } from '../domain/errors.ts';
import type { Status } from '../domain/lifecycle.ts';
import type { Row } from '../domain/ports.ts';
import type { AsyncJob, RevokeOptions } from '../entity/async-job.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import type { EnqueueOptions, JobClass, Within } from '../entity/job-types.ts';
import { managerOf, ownChanges, rememberRow, takeLifecycle, takeRow } from '../entity/own-changes.ts';
import type { JobTable } from '../mirror/job-table.ts';
import { enqueueStatement, retryStatement, revokeStatement } from '../mirror/statements.ts';
import type { AfterCommit } from './after-commit.ts';
import { checkEnqueueOptions, checkRevokeOptions } from './check-options.ts';
import { committedRunOf, mayHaveExecution } from './committed-run.ts';
import { buildJob, initialState, newState, notBefore } from './create-job.ts';
import { orCallerError, type DatabaseErrorKinds } from './database-errors.ts';
import type { EngineCalls } from './engine-calls.ts';
import { entityManagerFor } from './entity-manager.ts';
import { execute, idArray } from './execute.ts';
import type { JobInserts } from './job-inserts.ts';

export interface JobCommandsParts {
  orm: MikroORM;
  tables: ReadonlyMap<string, JobTable>;
  inserts: JobInserts;
  engineCalls: EngineCalls;
  afterCommit: AfterCommit;
  databaseErrors: DatabaseErrorKinds;
  /** Throws when this job class cannot be run or is not of this application. */
  check(jobClass: JobClass, willRun: boolean): void;
}

export class JobCommands {
  readonly #parts: JobCommandsParts;

  constructor(parts: JobCommandsParts) {
    this.#parts = parts;
  }

  async create<T extends AsyncJob>(jobClass: JobClass<T>, data: object = {}, { em: given }: Within = {}): Promise<T> {
    this.#parts.check(jobClass, false);
    const em = entityManagerFor(this.#parts.orm, null, given);
    return this.#orCallerError(jobClass, async () => {
      const job = buildJob(em, jobClass, data, newState(this.#table(jobClass).lane));
      await this.#parts.inserts.insert(em, job);
      return job;
    });
  }

  async enqueueNew<T extends AsyncJob>(jobClass: JobClass<T>, data: object = {}, options: EnqueueOptions = {}): Promise<T> {
    checkEnqueueOptions(options);
    this.#parts.check(jobClass, true);
    const em = entityManagerFor(this.#parts.orm, null, options.em);
    const job = await this.#orCallerError(jobClass, async () => {
      const built = buildJob(em, jobClass, data, initialState(options, this.#table(jobClass).lane));
      await this.#parts.inserts.insert(em, built);
      return built;
    });
    await this.#parts.engineCalls.dispatch(em, [committedRunOf(job)]);
    return job;
  }

  enqueue(job: AsyncJob, options: EnqueueOptions): Promise<void> {
    return this.#move(job, 'enqueue', options);
  }

  retry(job: AsyncJob, options: EnqueueOptions): Promise<void> {
    return this.#move(job, 'retry', options);
  }

  async revoke(job: AsyncJob, options: RevokeOptions): Promise<Status> {
    checkRevokeOptions(options);
    const jobClass = classOf(job);
    this.#parts.check(jobClass, false);
    const { reason, by, terminate = false } = options;
    const em = entityManagerFor(this.#parts.orm, job, options.em);
    const parameters = [idArray([job.id]), reason ?? null, by ?? null, terminate];
    const [row] = await this.#execute(em, jobClass, revokeStatement(this.#table(jobClass)), parameters);
    if (!row) return this.#statusOf(em, job); // settled already: idempotent
    this.#parts.afterCommit.onRollback(em, rememberRow(job));
    takeLifecycle(managerOf(job) ?? em, job, row);
    if (mayHaveExecution(job)) {
      await this.#parts.engineCalls.stop(em, [committedRunOf(job)], { terminate, reason: reason ?? 'revoked' });
    }
    return job.status;
  }

  /** To PENDING, with the job's unsaved own columns; refused ones say why. */
  async #move(job: AsyncJob, verb: 'enqueue' | 'retry', options: EnqueueOptions): Promise<void> {
    checkEnqueueOptions(options);
    const jobClass = classOf(job);
    this.#parts.check(jobClass, true);
    const em = entityManagerFor(this.#parts.orm, job, options.em);
    const own = ownChanges(managerOf(job) ?? em, job);
    const statement = (verb === 'enqueue' ? enqueueStatement : retryStatement)(this.#table(jobClass), Object.keys(own));
    const which = verb === 'enqueue' ? job.id : idArray([job.id]);
    const parameters = [which, options.queue ?? null, notBefore(options), options.priority ?? null, ...Object.values(own)];
    const [row] = await this.#execute(em, jobClass, statement, parameters);
    if (!row) throw await this.#refusal(em, job, verb);
    this.#parts.afterCommit.onRollback(em, rememberRow(job));
    takeRow(managerOf(job) ?? em, job, row);
    await this.#parts.engineCalls.dispatch(em, [committedRunOf(job)]);
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
    return this.#orCallerError(jobClass, () => execute(em, statement, parameters));
  }

  #orCallerError<R>(jobClass: JobClass, act: () => Promise<R>): Promise<R> {
    return orCallerError(jobTypeOf(jobClass), this.#parts.databaseErrors, act);
  }

  #table(jobClass: JobClass): JobTable {
    return this.#parts.tables.get(jobTypeOf(jobClass))!;
  }
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
