// job.refresh() and job.save(): one row, and nothing of the caller's other changes. In a handler both are fenced: an
// attempt that was overtaken learns it here.
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import type { JobMirror, OwnChanges, Row } from '../domain/ports.ts';
import type { AsyncJob } from '../entity/async-job.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import type { JobClass, Within } from '../entity/job-types.ts';
import { managerOf, ownChanges, ownChangesSaved, rememberRow, takeRow } from '../entity/own-changes.ts';
import { currentAttempt, type CurrentAttempt } from '../entity/current-attempt.ts';
import type { JobTable } from '../mirror/job-table.ts';
import { savedStatement } from '../mirror/statements.ts';
import type { AfterCommit } from './after-commit.ts';
import { toCallerError, type DatabaseErrorKinds } from './database-errors.ts';
import { entityManagerFor, isInOpenTransaction } from './entity-manager.ts';
import { execute } from './execute.ts';
import { notPersisted } from './job-commands.ts';

export interface OwnColumnsParts {
  orm: MikroORM;
  tables: ReadonlyMap<string, JobTable>;
  mirror: JobMirror;
  afterCommit: AfterCommit;
  databaseErrors: DatabaseErrorKinds;
}

export class OwnColumns {
  readonly #parts: OwnColumnsParts;

  constructor(parts: OwnColumnsParts) {
    this.#parts = parts;
  }

  async refresh(job: AsyncJob, { em: given }: Within): Promise<void> {
    const em = entityManagerFor(this.#parts.orm, job, given);
    const table = this.#table(job);
    const [row] = await this.#execute(em, job, `select * from ${table.name} where ${table.columns['id']} = $1`, [job.id]);
    if (!row) throw notPersisted(job);
    takeRow(managerOf(job) ?? em, job, row);
    const attempt = attemptOf(job);
    if (attempt && (job.run !== attempt.ref.run || job.attempt !== attempt.ref.attempt || job.status !== 'STARTED'))
      throw overtaken(attempt);
  }

  async save(job: AsyncJob, { em: given }: Within): Promise<void> {
    const em = entityManagerFor(this.#parts.orm, job, given);
    const manager = managerOf(job) ?? em;
    const own = ownChanges(manager, job);
    const columns = Object.keys(own);
    if (columns.length === 0) return;
    const attempt = attemptOf(job);
    if (attempt) {
      await this.saveFenced([em, manager].find(isInOpenTransaction) ?? em, attempt, job, own);
    } else {
      const { name, columns: c } = this.#table(job);
      const assignments = [...columns.map((column, i) => `${column} = $${i + 2}`), `${c['updatedAt']} = now()`].join(', ');
      const rows = await this.#execute(em, job, `update ${name} set ${assignments} where ${c['id']} = $1 returning ${c['id']}`, [
        job.id,
        ...Object.values(own),
      ]);
      if (rows.length === 0) throw notPersisted(job);
      this.#parts.afterCommit.onRollback(em, rememberRow(job));
    }
    ownChangesSaved(manager, job);
  }

  /**
   * Own columns of the job of an attempt, unless its row was taken: in the transaction of `em` when it is in one (any
   * other connection would wait for what that has locked), else through the mirror. `job`: whichever instance of it.
   *
   * @throws AsyncJobError `attempt.overtaken`
   */
  async saveFenced(em: EntityManager, attempt: CurrentAttempt, job: AsyncJob, own: OwnChanges): Promise<void> {
    const { ref } = attempt;
    let isMine: boolean;
    try {
      if (isInOpenTransaction(em)) {
        const statement = savedStatement(this.#parts.tables.get(ref.jobType)!, Object.keys(own));
        const parameters = [ref.id, ref.run, ref.attempt, ref.runId, ...Object.values(own)];
        isMine = (await execute(em, statement, parameters)).length > 0;
      } else {
        isMine = (await attempt.untilWritten(() => this.#parts.mirror.saved(ref, own))) !== 'stale';
      }
    } catch (error) {
      throw toCallerError(error, ref.jobType, this.#parts.databaseErrors);
    }
    if (!isMine) throw overtaken(attempt);
    this.#parts.afterCommit.onRollback(em, rememberRow(job));
  }

  async #execute(em: EntityManager, job: AsyncJob, statement: string, parameters: unknown[]): Promise<Row[]> {
    try {
      return await execute(em, statement, parameters);
    } catch (error) {
      throw toCallerError(error, this.#table(job).jobType, this.#parts.databaseErrors);
    }
  }

  #table(job: AsyncJob): JobTable {
    return this.#parts.tables.get(jobTypeOf(job.constructor as unknown as JobClass))!;
  }
}

function attemptOf(job: AsyncJob): CurrentAttempt | undefined {
  const attempt = currentAttempt();
  return attempt?.job === job || attempt?.ref.id === job.id ? attempt : undefined;
}

function overtaken(attempt: CurrentAttempt): AsyncJobError {
  attempt.overtaken();
  return new AsyncJobError(
    'attempt.overtaken',
    `another attempt or a revocation has taken ${attempt.ref.jobType} ${attempt.ref.id}: stop here.`,
  );
}
