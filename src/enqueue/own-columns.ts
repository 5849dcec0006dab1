// job.refresh() and job.save(): one row, and nothing of the caller's other changes. In a handler both are fenced: an
// attempt that was overtaken learns it here.
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import type { JobMirror, Row } from '../domain/ports.ts';
import type { AsyncJob } from '../entity/async-job.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import type { JobClass, Within } from '../entity/job-types.ts';
import { managerOf, ownChanges, ownChangesSaved, takeRow } from '../entity/own-changes.ts';
import { currentAttempt, type CurrentAttempt } from '../entity/current-attempt.ts';
import type { JobTable } from '../mirror/job-table.ts';
import { toCallerError, type DatabaseErrorKinds } from './database-errors.ts';
import { entityManagerFor } from './entity-manager.ts';
import { notPersisted } from './job-commands.ts';

export interface OwnColumnsParts {
  orm: MikroORM;
  tables: ReadonlyMap<string, JobTable>;
  mirror: JobMirror;
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
    const [row] = await this.#execute(em, job, `select * from ${table.name} where ${table.columns['id']} = ?`, [job.id]);
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
      const result = await this.#parts.mirror.saved(attempt.ref, own).catch((error: unknown) => {
        throw toCallerError(error, attempt.ref.jobType, this.#parts.databaseErrors);
      });
      if (result === 'stale') throw overtaken(attempt);
    } else {
      const { name, columns: c } = this.#table(job);
      const assignments = [...columns.map((column) => `${column} = ?`), `${c['updatedAt']} = now()`].join(', ');
      const rows = await this.#execute(em, job, `update ${name} set ${assignments} where ${c['id']} = ? returning ${c['id']}`, [
        ...Object.values(own),
        job.id,
      ]);
      if (rows.length === 0) throw notPersisted(job);
    }
    ownChangesSaved(manager, job);
  }

  async #execute(em: EntityManager, job: AsyncJob, statement: string, parameters: unknown[]): Promise<Row[]> {
    try {
      return (await em.execute(statement, parameters)) as unknown as Row[];
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
