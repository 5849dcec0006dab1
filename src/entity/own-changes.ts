// Between entities and rows: what the caller changed in a job's own columns, and how a row that a statement of ours
// returned gets into the entity.
import { helper, type EntityMetadata } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import type { OwnChanges, Row } from '../domain/ports.ts';
import type { AsyncJob } from './async-job.ts';
import { BASE_PROPERTIES } from './base-schema.ts';

const BASE: ReadonlySet<string> = new Set(BASE_PROPERTIES);

/** The EntityManager that manages the job; `null` when none does. */
export function managerOf(job: AsyncJob): EntityManager | null {
  return ((helper(job) as unknown as { __em?: EntityManager } | undefined)?.__em ?? null) as EntityManager | null;
}

/**
 * Changed own columns of a job, as column name (quoted) → value for the driver. Lifecycle columns are left out.
 *
 * @throws AsyncJobError `relation.unsaved`
 */
export function ownChanges(em: EntityManager, job: AsyncJob): OwnChanges {
  const unitOfWork = em.getUnitOfWork(false);
  unitOfWork.computeChangeSet(job);
  const changeSet = unitOfWork.getChangeSets().find((candidate) => candidate.entity === job);
  if (!changeSet) return {};
  const own: OwnChanges = {};
  for (const [property, value] of Object.entries(changeSet.payload as Record<string, unknown>)) {
    if (BASE.has(property)) continue;
    const { fieldNames, kind, name } = (changeSet.meta as EntityMetadata).properties[property as never] as {
      fieldNames: string[];
      kind: string;
      name: string;
    };
    if (isUnsavedReference(value)) {
      throw new AsyncJobError(
        'relation.unsaved',
        `'${name}' of ${changeSet.meta.className} ${job.id} refers to an entity that has no row yet. Flush it before.`,
      );
    }
    if (kind === '1:m' || kind === 'm:n') continue;
    const values = fieldNames.length > 1 ? (value as unknown[]) : [value];
    fieldNames.forEach((column, i) => (own[`"${column}"`] = values[i]));
  }
  return own;
}

function isUnsavedReference(value: unknown): boolean {
  return typeof value === 'object' && value !== null && value.constructor.name === 'EntityIdentifier';
}

/** Puts a row that the database returned into the entity, which then has no unsaved changes. */
export function takeRow(em: EntityManager, job: AsyncJob, row: Row): void {
  em.map(job.constructor as never, row as never);
}

/** The own columns have been written by a statement of ours: they are no unsaved changes any more. */
export function ownChangesSaved(em: EntityManager, job: AsyncJob): void {
  const state = helper(job) as unknown as { __originalEntityData: object | undefined };
  state.__originalEntityData = em.getComparator().prepareEntity(job as never) as object;
}
