// Between entities and rows: what the caller changed in a job's own columns, and how a row that a statement of ours
// returned gets into the entity. MikroORM's unit of work is only read, never told to compute: that would count as saved.
import { ReferenceKind, type EntityMetadata, type EntityProperty } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import type { OwnChanges, Row } from '../domain/ports.ts';
import type { AsyncJob } from './async-job.ts';
import { BASE_PROPERTIES } from './base-schema.ts';
import { managerOf, stateOf } from './entity-state.ts';

export { managerOf };

const BASE: ReadonlySet<string> = new Set(BASE_PROPERTIES);

/**
 * Changed own columns of a job, as column name (quoted) → value for the driver. Lifecycle columns are left out.
 *
 * @throws AsyncJobError `relation.unsaved`
 */
export function ownChanges(em: EntityManager, job: AsyncJob): OwnChanges {
  const { __meta: meta, __originalEntityData: original = {} } = stateOf(job)!;
  refuseUnsavedRelations(job, meta);
  const comparator = em.getComparator();
  const changed = comparator.diffEntities(meta.class as never, original, comparator.prepareEntity(job as never)) as Record<string, unknown>;
  const own: OwnChanges = {};
  for (const [property, value] of Object.entries(changed)) {
    const { fieldNames, kind } = meta.properties[property as never] as EntityProperty;
    if (BASE.has(property) || kind === ReferenceKind.ONE_TO_MANY || kind === ReferenceKind.MANY_TO_MANY) continue;
    const values = fieldNames.length > 1 ? ((value ?? []) as unknown[]) : [value];
    fieldNames.forEach((column, i) => (own[`"${column}"`] = values[i] ?? null));
  }
  return own;
}

// A foreign-key error would name a constraint; this names the property.
function refuseUnsavedRelations(job: AsyncJob, meta: EntityMetadata): void {
  for (const { name, kind } of meta.relations) {
    if (kind !== ReferenceKind.MANY_TO_ONE && kind !== ReferenceKind.ONE_TO_ONE) continue;
    const related = (job as unknown as Record<string, unknown>)[name];
    const entity = (related as { unwrap?: () => object } | null | undefined)?.unwrap?.() ?? related;
    const state = entity ? stateOf(entity) : undefined;
    if (state?.__initialized && !state.__originalEntityData) {
      throw new AsyncJobError(
        'relation.unsaved',
        `'${name}' of ${meta.className} ${job.id} refers to an entity that has no row yet. Flush it before.`,
      );
    }
  }
}

/** Puts a row that the database returned into the entity, which then has no unsaved changes. */
export function takeRow(em: EntityManager, job: AsyncJob, row: Row): void {
  const isManaged = em.getUnitOfWork(false).getById(job.constructor as never, job.id as never) === job;
  // Cleared from its EntityManager, the job would stay as it is, and another instance of it would appear there.
  const taken = (isManaged ? em : em.fork()).map(job.constructor as never, row as never) as object;
  if (taken === job) return;
  for (const { name, fieldNames } of stateOf(job)!.__meta.props) {
    if (fieldNames && name in taken) Object.assign(job, { [name]: (taken as Record<string, unknown>)[name] });
  }
  takeSnapshot(em, job);
}

/** The own columns have been written by a statement of ours: they are no unsaved changes any more. */
export function ownChangesSaved(em: EntityManager, job: AsyncJob): void {
  Object.assign(job, { updatedAt: new Date() });
  takeSnapshot(em, job);
}

function takeSnapshot(em: EntityManager, job: AsyncJob): void {
  stateOf(job)!.__originalEntityData = em.getComparator().prepareEntity(job as never) as Record<string, unknown>;
}
