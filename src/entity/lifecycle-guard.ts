// What a flush of the application may write to the row of a job: never lifecycle columns, which belong to the mirror;
// and of the job that a handler runs, own columns only while the row is its attempt's.
import { ChangeSetType, type ChangeSet, type FlushEventArgs } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { OwnChanges } from '../domain/ports.ts';
import { AsyncJob } from './async-job.ts';
import { LIFECYCLE_PROPERTIES } from './base-schema.ts';
import { currentAttempt, type CurrentAttempt } from './current-attempt.ts';
import { managerOf, stateOf } from './entity-state.ts';
import { isUnsaved, ownColumns } from './own-changes.ts';

/** Writes own columns of the attempt's job, in the transaction of `em` when it is in one. @throws AsyncJobError `attempt.overtaken` */
export type SaveFenced = (em: EntityManager, attempt: CurrentAttempt, job: AsyncJob, own: OwnChanges) => Promise<void>;

export class LifecycleGuard {
  readonly #saveFenced: SaveFenced;

  constructor(saveFenced: SaveFenced) {
    this.#saveFenced = saveFenced;
  }

  async onFlush({ em, uow }: FlushEventArgs): Promise<void> {
    for (const changeSet of uow.getChangeSets()) {
      const isUpdate = changeSet.type === ChangeSetType.UPDATE || changeSet.type === ChangeSetType.UPDATE_EARLY;
      if (!isUpdate || !(changeSet.entity instanceof AsyncJob)) continue;
      const payload = changeSet.payload as Record<string, unknown>;
      const changed = Object.keys(payload);
      for (const property of changed) if (LIFECYCLE_PROPERTIES.has(property)) delete payload[property];
      const attempt = attemptOf(changeSet.entity);
      if (attempt && hasOwn(payload)) await this.#fence(em as EntityManager, attempt, changeSet);
      // MikroORM set it because of what was taken out: without a change there is no UPDATE (an empty one is left out).
      if (Object.keys(payload).length < changed.length && !hasOwn(payload)) delete payload['updatedAt'];
    }
  }

  async #fence(em: EntityManager, attempt: CurrentAttempt, { entity, meta, payload }: ChangeSet<object>): Promise<void> {
    const changes = payload as Record<string, unknown>;
    // What this very flush inserts has no key yet: such a relation is left to it, behind the fence.
    const written = Object.keys(changes).filter((property) => !isUnsaved((entity as Record<string, unknown>)[property]));
    const own = Object.assign({}, ...written.map((property) => ownColumns(em, meta, property, changes[property]))) as OwnChanges;
    await this.#saveFenced(em, attempt, entity as AsyncJob, own);
    const { __originalEntityData: original } = stateOf(entity)!;
    for (const property of written) {
      // MikroORM takes no new snapshot of what it has nothing to write of.
      if (original) original[property] = changes[property];
      delete changes[property];
    }
  }
}

const hasOwn = (payload: object): boolean => Object.keys(payload).some((property) => property !== 'updatedAt');

/** The attempt whose job this is, in whichever EntityManager. */
function attemptOf(job: AsyncJob): CurrentAttempt | undefined {
  const attempt = currentAttempt();
  if (!attempt || attempt.ref.id !== job.id || attempt.job.constructor !== job.constructor) return undefined;
  return managerOf(attempt.job)?.config === managerOf(job)?.config ? attempt : undefined;
}
