// The INSERT of a single job. Those that come at the same time, each in no transaction, go as one statement: for PostgreSQL
// one commit instead of many, and less work here. Each has its own error all the same.
import { ChangeSet, ChangeSetType, helper, isRaw } from '@mikro-orm/core';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import type { AsyncJob } from '../entity/async-job.ts';
import { Coalescer } from '../mirror/coalescer.ts';

interface Insert {
  em: EntityManager;
  job: AsyncJob;
  row: ChangeSet<AsyncJob>;
}

/** Fewer than MikroORM's own batches: a statement is all or nothing. */
const JOBS_PER_STATEMENT = 100;

export class JobInserts {
  readonly #orm: MikroORM;
  readonly #isTransient: (error: unknown) => boolean;
  readonly #together: Coalescer<Insert, void>;

  constructor(orm: MikroORM, isTransient: (error: unknown) => boolean) {
    this.#orm = orm;
    this.#isTransient = isTransient;
    this.#together = new Coalescer((inserts) => this.#insertAll(inserts), Math.min(JOBS_PER_STATEMENT, orm.config.get('batchSize')));
  }

  /** The job is then managed by `em`. */
  async insert(em: EntityManager, job: AsyncJob): Promise<void> {
    if (this.#mayGoWithOthers(em)) await this.#together.add({ em, job, row: rowOf(em, job) });
    else await em.insert(job as never);
    // Both were now() of the same statement: by the database's clock, like every other time on the row.
    if (job.enqueuedAt) Object.assign(job, { enqueuedAt: job.createdAt });
    em.merge(job as never);
  }

  /** Nothing that is an EntityManager's own makes a difference to its INSERT. */
  #mayGoWithOthers(em: EntityManager): boolean {
    const hasOwn = em.isInTransaction() || em.schema !== undefined || em.getSessionContext() !== undefined;
    return !hasOwn && this.#orm.config.get('useBatchInserts', true);
  }

  async #insertAll(inserts: Insert[]): Promise<PromiseSettledResult<void>[]> {
    // MikroORM reads back what the database has filled in by the first row's columns.
    const alike = Map.groupBy(inserts, ({ row }) => shapeOf(row));
    const results = new Map<Insert, PromiseSettledResult<void>>();
    const insertSome = async (some: Insert[]) => {
      const settled = await this.#insertAlike(some);
      for (const [i, insert] of some.entries()) results.set(insert, settled[i]!);
    };
    // One that waits for a lock keeps none of the others waiting for its statement.
    await Promise.all([...alike.values()].map(insertSome));
    return inserts.map((insert) => results.get(insert)!);
  }

  async #insertAlike(inserts: Insert[]): Promise<PromiseSettledResult<void>[]> {
    if (inserts.length > 1) {
      try {
        const em = this.#orm.em.fork({ disableContextResolution: true });
        await em
          .getUnitOfWork(false)
          .getChangeSetPersister()
          .executeInserts(inserts.map(({ row }) => row));
        return inserts.map(() => ({ status: 'fulfilled', value: undefined }));
      } catch (error) {
        // Nobody knows whether it was committed: that is everybody's error.
        if (this.#isTransient(error)) return inserts.map(() => ({ status: 'rejected', reason: error }));
      }
    }
    return Promise.allSettled(inserts.map(async ({ em, job }) => void (await em.insert(job as never))));
  }
}

function rowOf(em: EntityManager, job: AsyncJob): ChangeSet<AsyncJob> {
  const payload = em.getComparator().prepareEntity(job as never);
  return new ChangeSet(job as never, ChangeSetType.CREATE, payload, helper(job as never).__meta) as unknown as ChangeSet<AsyncJob>;
}

function shapeOf({ meta, payload }: ChangeSet<AsyncJob>): string {
  const columns = Object.entries(payload).map(([name, value]) => (isRaw(value) ? `${name}!` : name));
  return `${meta.uniqueName} ${columns.sort().join(' ')}`;
}
