// Inserting a job: its row and nothing else. The caller's other pending changes are never written.
import { raw } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import type { AsyncJob } from '../entity/async-job.ts';
import { LIFECYCLE_PROPERTIES } from '../entity/base-schema.ts';
import { unknownName } from '../entity/closest-name.ts';
import { toMilliseconds } from '../entity/duration.ts';
import { shown } from '../entity/invalid-settings.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import { UUID } from '../entity/job-reads.ts';
import type { EnqueueOptions, JobClass } from '../entity/job-types.ts';
import { refuseUnsavedRelations } from '../entity/own-changes.ts';
import type { LaneTable } from '../mirror/job-table.ts';

/** Lifecycle columns that an INSERT sets: those of a job that is enqueued with it. */
export type InitialState = Partial<Record<'status' | 'run' | 'queue' | 'runAt' | 'priority' | 'enqueuedAt' | 'nextAttemptAt', unknown>>;

/** Of a job that is created, and enqueued later. */
export function newState(lane: LaneTable | null): InitialState {
  return lane ? { priority: lane.priority } : {};
}

/** Of a job that is inserted as PENDING. */
export function initialState(options: EnqueueOptions, lane: LaneTable | null): InitialState {
  const startAt = notBefore(options);
  return {
    ...newState(lane),
    status: 'PENDING',
    run: 1,
    enqueuedAt: raw('now()'),
    ...(options.queue === undefined ? {} : { queue: options.queue }),
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    runAt: startAt,
    ...(lane ? { nextAttemptAt: startAt } : {}),
  };
}

/** `null`: now. */
export function notBefore({ delay, runAt }: EnqueueOptions): Date | null {
  return runAt ?? (delay === undefined ? null : new Date(Date.now() + toMilliseconds(delay, 'delay')));
}

/** A job that is managed by nobody yet. @throws AsyncJobError `relation.unsaved`, `job.value_invalid` */
export function buildJob<T extends AsyncJob>(em: EntityManager, jobClass: JobClass<T>, data: object, initial: InitialState): T {
  const refused = Object.keys(data).filter((name) => name !== 'id' && LIFECYCLE_PROPERTIES.has(name));
  if (refused.length > 0) {
    throw new AsyncJobError(
      'job.value_invalid',
      `${refused.map((name) => `'${name}'`).join(', ')} of '${jobTypeOf(jobClass)}' is written by the library, not given. Leave it out; enqueue() takes options.`,
    );
  }
  const { properties } = em.getMetadata().get(jobClass as never);
  const unknown = Object.keys(data).filter((name) => !(name in properties) && !(name in jobClass.prototype));
  if (unknown.length > 0) {
    const columns = Object.keys(properties).filter((name) => !LIFECYCLE_PROPERTIES.has(name));
    throw new AsyncJobError(
      'job.value_invalid',
      `'${jobTypeOf(jobClass)}': ${unknown.map((name) => unknownName(name, columns)).join('; ')}`,
    );
  }
  const { id } = data as { id?: unknown };
  if (id !== undefined && !(typeof id === 'string' && UUID.test(id)))
    throw new AsyncJobError('job.value_invalid', `'id' of '${jobTypeOf(jobClass)}': ${shown(id)} is no UUID.`);
  // As PostgreSQL writes it, or the row that it returns would be another entity.
  const input = typeof id === 'string' ? { ...data, id: id.toLowerCase() } : data;
  const job = em.create(jobClass as never, input as never, { persist: false }) as T;
  Object.assign(job, initial);
  refuseUnsavedRelations(job);
  return job;
}
