// The base columns of every job table, as MikroORM metadata. Every not-null one has a database default, so that
// `insert into my_job (my_field, status) values (…, 'PENDING')` by any SQL client enqueues a job.
import { EntitySchema, type EntityProperty } from '@mikro-orm/core';
import { OPEN_STATUSES, STATUSES } from '../domain/lifecycle.ts';
import { uuidv7 } from '../domain/uuid.ts';
import { AsyncJob } from './async-job.ts';
import type { JobClass } from './job-types.ts';

const timestamp = { type: 'datetime', length: 3, columnType: 'timestamptz(3)' } as const;
const nullableTimestamp = { ...timestamp, nullable: true } as const;
const counter = { type: 'integer', default: 0 } as const;
const nullableText = { type: 'text', nullable: true } as const;
const nullableJson = { type: 'json', nullable: true } as const;

const COLUMNS = {
  id: { type: 'uuid', primary: true, onCreate: () => uuidv7(), defaultRaw: 'gen_random_uuid()' },
  status: { enum: true, items: [...STATUSES], type: 'string', default: 'NEW' },
  queue: { type: 'text', default: 'default', onCreate: (job: AsyncJob) => (job.constructor as unknown as JobClass).defaultQueue },
  priority: { type: 'smallint', nullable: true },
  runAt: nullableTimestamp,
  expiresAt: nullableTimestamp,
  uniqueKey: nullableText,
  run: counter,
  attempt: counter,
  failures: counter,
  crashes: counter,
  workflowId: nullableText,
  runId: nullableText,
  workerId: nullableText,
  holder: nullableText,
  holderBeat: { type: 'integer', nullable: true },
  createdAt: { ...timestamp, defaultRaw: 'now()' },
  updatedAt: { ...timestamp, defaultRaw: 'now()', onUpdate: () => new Date() },
  enqueuedAt: nullableTimestamp,
  startedAt: nullableTimestamp,
  endedAt: nullableTimestamp,
  nextAttemptAt: nullableTimestamp,
  progress: { type: 'double', nullable: true },
  progressMessage: nullableText,
  checkpoint: nullableJson,
  output: nullableJson,
  errorMessage: nullableText,
  error: nullableJson,
  revokeRequestedAt: nullableTimestamp,
  revokeReason: nullableText,
  revokedBy: nullableText,
} satisfies Record<string, object>;

export type BaseProperty = keyof typeof COLUMNS;
export const BASE_PROPERTIES = Object.keys(COLUMNS) as BaseProperty[];

/** The definition of one base column, for a class that sets its own database default. */
export function baseColumn(name: BaseProperty): object {
  return COLUMNS[name];
}

/** Properties that only the mirror writes: all base columns. `updatedAt` follows any write. */
export const LIFECYCLE_PROPERTIES: ReadonlySet<string> = new Set(BASE_PROPERTIES.filter((name) => name !== 'updatedAt'));

export const AsyncJobSchema = new EntitySchema<AsyncJob>({
  class: AsyncJob as never,
  abstract: true,
  properties: COLUMNS as unknown as Record<keyof AsyncJob, EntityProperty<AsyncJob>>,
  indexes: [
    // Lists: newest first, of one status or of all.
    { properties: ['createdAt'] },
    { properties: ['status', 'createdAt'] },
  ] as never,
});

/** Of classes whose jobs are dispatched. */
export const DISPATCH_INDEXES: readonly object[] = [
  // The relay's sweep: committed, never dispatched. Empty when all is well, so it costs next to nothing.
  { properties: ['enqueuedAt'], where: { status: 'PENDING', runId: null } },
  // A walk over what is not settled, in the order of creation. On a column that never changes, so that writes of progress
  // touch no index.
  { properties: ['id'], where: { status: { $in: [...OPEN_STATUSES] } } },
];

/** Of classes with lanes, from which these claim: what waits, and what is to be tried again or waits for its time. */
export const LANE_INDEXES: readonly object[] = [
  { properties: ['queue', 'priority', 'enqueuedAt'], where: { status: 'PENDING', nextAttemptAt: null } },
  { properties: ['queue', 'nextAttemptAt'], where: { status: 'PENDING', nextAttemptAt: { $ne: null } } },
];
