// Between entities and rows: what the caller changed in a job's own columns, and how a row that a statement of ours
// returned gets into the entity. MikroORM's unit of work is only read, never told to compute: that would count as saved.
import { ReferenceKind, Utils, type EntityMetadata, type EntityProperty } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import type { OwnChanges, Row } from '../domain/ports.ts';
import type { AsyncJob } from './async-job.ts';
import { BASE_PROPERTIES } from './base-schema.ts';
import { managerOf, stateOf } from './entity-state.ts';
import type { JobClass } from './job-types.ts';

export { managerOf };

const BASE: ReadonlySet<string> = new Set(BASE_PROPERTIES);

/**
 * Changed own columns of a job, as column name (quoted) → value for the driver. Lifecycle columns are left out.
 *
 * @throws AsyncJobError `relation.unsaved`
 */
export function ownChanges(em: EntityManager, job: AsyncJob): OwnChanges {
  const { __meta: meta, __originalEntityData: original = {} } = stateOf(job)!;
  refuseUnsavedRelations(job);
  const comparator = em.getComparator();
  const changed = comparator.diffEntities(meta.class as never, original, comparator.prepareEntity(job as never)) as Record<string, unknown>;
  return Object.assign({}, ...Object.entries(changed).map(([property, value]) => ownColumns(em, meta, property, value))) as OwnChanges;
}

/** The columns of one property, with their values; none when it is a lifecycle column or has no column. */
export function ownColumns(em: EntityManager, meta: EntityMetadata, property: string, value: unknown): OwnChanges {
  const { fieldNames, kind } = meta.properties[property as never] as EntityProperty;
  if (BASE.has(property) || kind === ReferenceKind.ONE_TO_MANY || kind === ReferenceKind.MANY_TO_MANY) return {};
  const values = fieldNames.length > 1 ? ((value ?? []) as unknown[]) : [value];
  return Object.fromEntries(fieldNames.map((column, i) => [`"${column}"`, forDriver(em, values[i])]));
}

/**
 * What MikroORM's query builder does with a value before it gets to the driver, which has ways of its own: a Date in the
 * process's time zone, an array as PostgreSQL's, not JSON.
 */
export function forDriver(em: EntityManager, value: unknown): unknown {
  if (value instanceof Date) {
    const isValid = !Number.isNaN(value.getTime()); // what is none is refused by the database
    return isValid && em.config.get('forceUtcTimezone') ? value.toISOString() : value;
  }
  return Array.isArray(value) || Utils.isPlainObject(value) ? JSON.stringify(value) : (value ?? null);
}

/** Own columns that statements of this library could not write, or not read back, as MikroORM does. */
export function problemsOfColumns(meta: EntityMetadata): string[] {
  return meta.props.flatMap(({ name, hasConvertToDatabaseValueSQL, hasConvertToJSValueSQL }) =>
    hasConvertToDatabaseValueSQL || hasConvertToJSValueSQL
      ? [
          `${meta.className}.${name}: its type is converted by SQL (convertToDatabaseValueSQL, convertToJSValueSQL); convert the value itself`,
        ]
      : [],
  );
}

/**
 * A foreign-key error would name a constraint; this names the property.
 *
 * @throws AsyncJobError `relation.unsaved`
 */
export function refuseUnsavedRelations(job: AsyncJob): void {
  const { __meta: meta } = stateOf(job)!;
  for (const { name, kind } of meta.relations) {
    if (kind !== ReferenceKind.MANY_TO_ONE && kind !== ReferenceKind.ONE_TO_ONE) continue;
    if (!isUnsaved((job as unknown as Record<string, unknown>)[name])) continue;
    throw new AsyncJobError(
      'relation.unsaved',
      `'${name}' of '${meta.className}' refers to an entity that has no row yet. Flush it before the job is written.`,
    );
  }
}

/** Whether a value is an entity, or a reference to one, that has no row yet. */
export function isUnsaved(related: unknown): boolean {
  const entity = (related as { unwrap?: () => object } | null | undefined)?.unwrap?.() ?? related;
  const state = typeof entity === 'object' && entity ? stateOf(entity) : undefined;
  return state?.__initialized === true && !state.__originalEntityData;
}

/**
 * The managed entity of a row that the database returned, made as MikroORM makes those that it has found. (`em.map()` takes
 * twice the time: it computes the snapshot anew and looks through relations.)
 */
export function entityOf<T extends AsyncJob>(em: EntityManager, jobClass: JobClass<T>, row: Row): T {
  const data = em.getDriver().mapResult(row as never, em.getMetadata().get(jobClass as never));
  return em.getEntityFactory().create(jobClass as never, data as never, { merge: true, refresh: true, convertCustomTypes: true }) as T;
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

/** The same for lifecycle columns only: what is unsaved of the own columns stays so. */
export function takeLifecycle(em: EntityManager, job: AsyncJob, row: Row): void {
  const taken = em.fork().map(job.constructor as never, row as never) as Record<string, unknown>;
  const snapshot = em.getComparator().prepareEntity(taken as never) as Record<string, unknown>;
  const original = stateOf(job)!.__originalEntityData;
  for (const name of BASE_PROPERTIES) {
    if (name === 'id' || !(name in taken)) continue;
    Object.assign(job, { [name]: taken[name] });
    if (original) original[name] = snapshot[name];
  }
}

/** The own columns have been written by a statement of ours: they are no unsaved changes any more. */
export function ownChangesSaved(em: EntityManager, job: AsyncJob): void {
  Object.assign(job, { updatedAt: new Date() });
  takeSnapshot(em, job);
}

function takeSnapshot(em: EntityManager, job: AsyncJob): void {
  stateOf(job)!.__originalEntityData = em.getComparator().prepareEntity(job as never) as Record<string, unknown>;
}

/** Remembers what the job says of its row; the function returned restores it, so that what was written since is unsaved again. */
export function rememberRow(job: AsyncJob): () => void {
  const state = stateOf(job)!;
  const original = state.__originalEntityData && { ...state.__originalEntityData };
  const values = Object.fromEntries(
    BASE_PROPERTIES.filter((name) => name !== 'id').map((name) => [name, (job as unknown as Record<string, unknown>)[name]]),
  );
  return () => {
    Object.assign(job, values);
    if (original) state.__originalEntityData = original;
    else delete state.__originalEntityData;
  };
}
