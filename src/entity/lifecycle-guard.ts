// Lifecycle columns belong to the mirror: a flush of the application never writes them to an existing row.
import { ChangeSetType, type EventSubscriber, type FlushEventArgs } from '@mikro-orm/core';
import { AsyncJob } from './async-job.ts';
import { LIFECYCLE_PROPERTIES } from './base-schema.ts';

export class LifecycleGuard implements EventSubscriber {
  onFlush({ uow }: FlushEventArgs): void {
    for (const changeSet of uow.getChangeSets()) {
      if (changeSet.type !== ChangeSetType.UPDATE || !(changeSet.entity instanceof AsyncJob)) continue;
      const payload = changeSet.payload as Record<string, unknown>;
      const refused = Object.keys(payload).filter((property) => LIFECYCLE_PROPERTIES.has(property));
      for (const property of refused) delete payload[property];
      // MikroORM set it because of what is refused: without a change there is no UPDATE (an empty one is left out).
      if (refused.length > 0 && Object.keys(payload).every((property) => property === 'updatedAt')) delete payload['updatedAt'];
    }
  }
}
