// What MikroORM keeps beside an entity, as far as this library reads it.
import { helper, type EntityMetadata } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { AsyncJob } from './async-job.ts';

export interface EntityState {
  /** Kept when the EntityManager is cleared. */
  __em?: EntityManager;
  __meta: EntityMetadata;
  __initialized: boolean;
  /** The row as it was read or written last, property → value for the driver; none before the first INSERT. */
  __originalEntityData?: Record<string, unknown>;
}

/** Undefined for what is no entity. */
export function stateOf(entity: unknown): EntityState | undefined {
  return helper(entity as object) as unknown as EntityState | undefined;
}

/** The EntityManager that the job came from; `null` when it came from none. */
export function managerOf(job: AsyncJob): EntityManager | null {
  return stateOf(job)?.__em ?? null;
}
