// Whose transaction a call joins: the EntityManager given, else the job's own when that is in a transaction, else the
// ambient one (em.transactional, request context), else one of its own.
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import type { AsyncJob } from '../entity/async-job.ts';
import { managerOf } from '../entity/own-changes.ts';

export function entityManagerFor(orm: MikroORM, job: AsyncJob | null, given: EntityManager | undefined): EntityManager {
  if (given) return given;
  const own = job && managerOf(job);
  if (own && isInOpenTransaction(own)) return own;
  const ambient = orm.em.getContext(false);
  if (ambient !== orm.em) return ambient as EntityManager;
  // An EntityManager whose transaction is over can do nothing any more.
  return own && !own.isInTransaction() ? own : orm.em.fork();
}

/** Not one that is over: MikroORM leaves it in its EntityManager. */
export function isInOpenTransaction(em: EntityManager): boolean {
  const transaction = em.getTransactionContext<{ isCommitted?: boolean; isRolledBack?: boolean }>();
  return transaction !== undefined && transaction.isCommitted !== true && transaction.isRolledBack !== true;
}
