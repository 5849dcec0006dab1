// Many jobs of a class at once: enqueueMany, revokeMany, retryMany. One write per thousand, the same statements and
// guards as for one job; the engine hears of them when all rows are written.
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { EntityManager, FilterQuery, MikroORM } from '@mikro-orm/postgresql';
import { statusesBefore, type JobEvent } from '../domain/lifecycle.ts';
import type { CommittedRun } from '../domain/ports.ts';
import type { AsyncJob, RevokeOptions } from '../entity/async-job.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import type { EnqueueOptions, JobClass } from '../entity/job-types.ts';
import type { JobTable } from '../mirror/job-table.ts';
import { lockStatement, movedRuns, retryStatement, revokeStatement } from '../mirror/statements.ts';
import { checkEnqueueOptions, checkRevokeOptions, checkWhere } from './check-options.ts';
import { committedRunOf, movedRunOf, type MovedRun } from './committed-run.ts';
import { buildJob, initialState, notBefore } from './create-job.ts';
import { orCallerError, type DatabaseErrorKinds } from './database-errors.ts';
import type { EngineCalls } from './engine-calls.ts';
import { entityManagerFor } from './entity-manager.ts';
import { execute, idArray } from './execute.ts';
import { hasDomains, prepareInsert } from './insert-jobs.ts';

export interface ManyJobsParts {
  orm: MikroORM;
  tables: ReadonlyMap<string, JobTable>;
  engineCalls: EngineCalls;
  databaseErrors: DatabaseErrorKinds;
  /** Throws when this job class cannot be run or is not of this application. */
  check(jobClass: JobClass, willRun: boolean): void;
}

const ROWS_AT_ONCE = 1_000;

export class ManyJobs {
  readonly #parts: ManyJobsParts;
  readonly #domains = new Map<string, boolean>();

  constructor(parts: ManyJobsParts) {
    this.#parts = parts;
  }

  async enqueue<T extends AsyncJob>(jobClass: JobClass<T>, rows: Iterable<object>, options: EnqueueOptions = {}): Promise<string[]> {
    checkEnqueueOptions(options);
    this.#parts.check(jobClass, true);
    const outer = entityManagerFor(this.#parts.orm, null, options.em);
    const table = this.#table(jobClass);
    const initial = initialState(options, table.lane);
    const ids: string[] = [];
    const runs: CommittedRun[] = [];
    let ofRows: { error: unknown } | undefined;
    const given = passedOn(rows, (error) => (ofRows = { error }));
    const insertAll = async (em: EntityManager) => {
      const hasDomains = await this.#hasDomains(em, table);
      let inserted = Promise.resolve();
      try {
        for (const chunk of chunksOf(given, ROWS_AT_ONCE)) {
          // A fork that shares the transaction: the caller's identity map does not grow by every row.
          const fork = em.fork({ keepTransactionContext: true });
          const jobs = chunk.map((data) => buildJob(fork, jobClass, data, initial));
          const insert = prepareInsert(fork, table, { jobClass, jobs, initial, hasDomains });
          await inserted;
          for (const { id } of jobs) ids.push(id);
          // A lane is told of its queue, not of jobs.
          runs.push(...(table.lane ? jobs.slice(0, 1) : jobs).map(committedRunOf));
          // Meanwhile the next ones are built.
          inserted = insert();
          inserted.catch(() => undefined); // it is awaited later
          await turnOfTheLoop(); // it is sent
        }
      } finally {
        await inserted;
      }
    };
    await this.#orCallerError(jobClass, () =>
      outer.isInTransaction() ? insertAll(outer) : outer.fork().transactional((em) => insertAll(em as EntityManager)),
    ).catch((error: unknown) => {
      throw ofRows ? ofRows.error : error;
    });
    await this.#parts.engineCalls.dispatch(outer, runs);
    return ids;
  }

  /** Ids of those that are REVOKED now, or were STARTED and are asked to stop. */
  async revoke<T extends AsyncJob>(jobClass: JobClass<T>, where: FilterQuery<T>, options: RevokeOptions = {}): Promise<string[]> {
    checkWhere('revokeMany', where);
    checkRevokeOptions(options);
    this.#parts.check(jobClass, false);
    const { reason, by, terminate = false } = options;
    const em = entityManagerFor(this.#parts.orm, null, options.em);
    const statement = revokeStatement(this.#table(jobClass));
    const moved: MovedRun[] = [];
    try {
      await this.#move(em, { jobClass, where, event: 'revoked', statement, parameters: [reason ?? null, by ?? null, terminate] }, moved);
    } finally {
      // Also what was committed before an error.
      const executions = moved.filter(({ isDispatched }) => isDispatched);
      await this.#parts.engineCalls.stop(em, executions, { terminate, reason: reason ?? 'revoked' });
    }
    return moved.map(({ id }) => id);
  }

  /** Ids of those that are PENDING now. */
  async retry<T extends AsyncJob>(jobClass: JobClass<T>, where: FilterQuery<T>, options: EnqueueOptions = {}): Promise<string[]> {
    checkWhere('retryMany', where);
    checkEnqueueOptions(options);
    this.#parts.check(jobClass, true);
    const em = entityManagerFor(this.#parts.orm, null, options.em);
    const statement = retryStatement(this.#table(jobClass), []);
    const parameters = [options.queue ?? null, notBefore(options), options.priority ?? null];
    const moved: MovedRun[] = [];
    try {
      await this.#move(em, { jobClass, where, event: 'retried', statement, parameters }, moved);
    } finally {
      await this.#parts.engineCalls.dispatch(em, moved);
    }
    return moved.map(({ id }) => id);
  }

  /**
   * A page of ids at a time, in the caller's transaction, or else each in its own; into `moved`. A page's rows are locked
   * before the condition is asked again, since it decides about the row as it is when it moves: what was PENDING when the
   * page was read may run by now (integration/many-jobs: "is left alone when the condition does not hold any more").
   */
  async #move<T extends AsyncJob>(em: EntityManager, what: ManyMoves<T>, moved: MovedRun[]): Promise<void> {
    const { jobClass, event, parameters } = what;
    const jobType = jobTypeOf(jobClass);
    const table = this.#table(jobClass);
    const lock = lockStatement(table, event);
    const statement = movedRuns(table, what.statement);
    const where = { $and: [what.where, { status: { $in: statusesBefore(event) } }] };
    const movePage = async (within: EntityManager, page: string[]) => {
      await execute(within, lock, [idArray(page)]);
      const ids = await readIds(within, jobClass, { $and: [where, { id: { $in: page } }] });
      return ids.length === 0 ? [] : execute(within, statement, [idArray(ids), ...parameters]);
    };
    await this.#orCallerError(jobClass, async () => {
      for await (const page of pagesOfIds(em, jobClass, where)) {
        const rows = em.isInTransaction()
          ? await movePage(em, page)
          : await em.fork().transactional((own) => movePage(own as EntityManager, page));
        moved.push(...rows.map((row) => movedRunOf(jobType, row)));
      }
    });
  }

  #orCallerError<R>(jobClass: JobClass, act: () => Promise<R>): Promise<R> {
    return orCallerError(jobTypeOf(jobClass), this.#parts.databaseErrors, act);
  }

  /** Asked once. */
  async #hasDomains(em: EntityManager, table: JobTable): Promise<boolean> {
    const known = this.#domains.get(table.jobType) ?? (await hasDomains(em, table));
    this.#domains.set(table.jobType, known);
    return known;
  }

  #table(jobClass: JobClass): JobTable {
    return this.#parts.tables.get(jobTypeOf(jobClass))!;
  }
}

interface ManyMoves<T extends AsyncJob> {
  jobClass: JobClass<T>;
  where: FilterQuery<T>;
  event: JobEvent;
  statement: string;
  /** Those after the ids. */
  parameters: unknown[];
}

/** Ids of the jobs that match, in their order, a page at a time: each job is met once, however many there are. */
async function* pagesOfIds(em: EntityManager, jobClass: JobClass, where: object): AsyncGenerator<string[]> {
  for (let after: object = {}; ;) {
    const ids = await readIds(em, jobClass, { $and: [where, after] });
    if (ids.length > 0) yield ids;
    if (ids.length < ROWS_AT_ONCE) return;
    after = { id: { $gt: ids.at(-1)! } };
  }
}

/** At most a page. Read as MyJob.find() does, but by nobody's identity map, and without a flush of the caller's changes. */
async function readIds(em: EntityManager, jobClass: JobClass, where: object): Promise<string[]> {
  const options = { fields: ['id'], populate: false, orderBy: { id: 'asc' }, limit: ROWS_AT_ONCE };
  const jobs = (await em.fork({ keepTransactionContext: true }).find(jobClass as never, where as never, options as never)) as AsyncJob[];
  return jobs.map(({ id }) => id);
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
