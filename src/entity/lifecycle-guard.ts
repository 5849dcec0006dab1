// Lifecycle columns belong to the mirror: a flush of the application never writes them to an existing row.
import { ChangeSetType, type EventSubscriber, type FlushEventArgs } from '@mikro-orm/core';
import { AsyncJob } from './async-job.ts';
import { LIFECYCLE_PROPERTIES } from './base-schema.ts';

export class LifecycleGuard implements EventSubscriber {
  onFlush({ uow }: FlushEventArgs): void {
    for (const changeSet of uow.getChangeSets()) {
      if (changeSet.type !== ChangeSetType.UPDATE || !(changeSet.entity instanceof AsyncJob)) continue;
      const payload = changeSet.payload as Record<string, unknown>;
      for (const property of Object.keys(payload)) if (LIFECYCLE_PROPERTIES.has(property)) delete payload[property];
    }
  }
}
