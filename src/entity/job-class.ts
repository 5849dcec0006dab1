// Making job classes known: the asyncJob() helper that declares columns, and jobs() that hands entities to MikroORM.
import {
  defineEntity,
  EntitySchema,
  MetadataStorage,
  ReferenceKind,
  UnderscoreNamingStrategy,
  type EntityMetadata,
  type InferEntityFromProperties,
} from '@mikro-orm/core';
import { AsyncJobError } from '../domain/errors.ts';
import { LANE_PRIORITY } from '../domain/job-policy.ts';
import { AsyncJob } from './async-job.ts';
import { AsyncJobAttempt, AttemptSchema } from './async-job-attempt.ts';
import { AsyncJobView, AsyncJobViewSchema } from './async-job-view.ts';
import { AsyncJobWorker, WorkerSchema } from './async-job-worker.ts';
import { AsyncJobSchema, baseColumn, DISPATCH_INDEXES, LANE_INDEXES, type BaseProperty } from './base-schema.ts';
import { invalidSettings } from './invalid-settings.ts';
import { problemOfJobType } from './job-statics.ts';
import type { Columns, JobClass } from './job-types.ts';

/** The own columns as the class has them. */
export type JobProps<P extends Record<string, any>> = {
  -readonly [K in keyof P]: InferEntityFromProperties<P>[K & keyof InferEntityFromProperties<P>];
};
/** The class that `asyncJob()` returns; named so that a project can export its job classes with declarations. */
export type JobBase<P extends Record<string, any>> = (new (...args: any[]) => AsyncJob & JobProps<P> & { [Columns]?: JobProps<P> }) &
  Pick<typeof AsyncJob, Exclude<keyof typeof AsyncJob, 'prototype'>>;
type Reserved<P> = { [K in keyof P & keyof AsyncJob]: `'${K & string}' is a column or method of AsyncJob: choose another name` };

/** Where and how the table is kept. */
export interface JobStorage {
  /** @default the name in snake_case */
  tableName?: string;
  schema?: string;
  /** Further indexes, in MikroORM's form. */
  indexes?: object[];
  uniques?: object[];
  comment?: string;
}

const schemas = new WeakMap<object, EntitySchema>();

/**
 * The base class to extend for a job with own columns, given as MikroORM property builders:
 * `class MyJob extends asyncJob('MyJob', { myField: p.integer().nullable() }) {}`.
 *
 * `name` is the job type: unique per application, and it stays when the class is renamed.
 *
 * @throws AsyncJobError `settings.invalid` when the name is none, `job.reserved_column` when a column has the name of a base column or method
 */
export function asyncJob<const P extends Record<string, any>>(
  name: string,
  properties: P & Reserved<P>,
  storage: JobStorage = {},
): JobBase<P> {
  const problem = problemOfJobType(name);
  if (problem !== null) throw invalidSettings('the name in asyncJob(…)', [problem]);
  for (const column of Object.keys(properties)) {
    if (isReserved(column)) {
      throw new AsyncJobError('job.reserved_column', `'${column}' of '${name}' is a column or method of AsyncJob. Choose another name.`);
    }
  }
  const schema = defineEntity({
    name,
    tableName: new UnderscoreNamingStrategy().classToTableName(name),
    extends: AsyncJobSchema,
    properties,
    ...storage,
  } as never) as unknown as EntitySchema & { class: new () => AsyncJob };
  const base = schema.class;
  Object.defineProperty(base, 'jobType', { value: name, writable: true, configurable: true });
  schemas.set(base, schema);
  return base as unknown as JobBase<P>;
}

function isReserved(column: string): boolean {
  return column in baseColumns || column in AsyncJob.prototype;
}
const baseColumns: object = AsyncJobSchema.meta.properties;

/**
 * The entities to list in MikroORM's `entities`: the job classes, the attempt history, the worker registry, and the
 * view over all jobs. Call it once, with all job classes of the application.
 *
 * @throws AsyncJobError `job.duplicate_type`, `job.not_direct`
 */
export function jobs(...classes: JobClass[]): EntitySchema[] {
  const byType = new Map<string, JobClass>();
  const entities = classes.map((jobClass) => {
    const jobType = jobTypeOf(jobClass);
    const other = byType.get(jobType);
    if (other && other !== jobClass) {
      throw new AsyncJobError(
        'job.duplicate_type',
        `'${other.name}' and '${jobClass.name}' both have the job type '${jobType}'. Give one another name in asyncJob('…').`,
      );
    }
    byType.set(jobType, jobClass);
    return entityOf(jobClass);
  });
  return [...new Set(entities), AttemptSchema, WorkerSchema, AsyncJobViewSchema] as EntitySchema[];
}

function entityOf(jobClass: JobClass): EntitySchema {
  const made = schemas.get(Object.getPrototypeOf(jobClass) as object);
  if (!made) {
    const parent = [...parentsOf(jobClass)].find((ancestor) => schemas.has(ancestor));
    if (parent) {
      throw new AsyncJobError(
        'job.not_direct',
        `'${jobClass.name}' extends another job class ('${(Object.getPrototypeOf(jobClass) as JobClass).name}'). Each job class extends asyncJob(…) directly; share code by a function or a mixin.`,
      );
    }
    const decorated = Object.getOwnPropertyDescriptor(jobClass, MetadataStorage.META_SYMBOL)?.value as EntityMetadata | undefined;
    for (const [name, column] of decorated ? ownDefaultsOf(jobClass) : [])
      Object.assign(decorated!.properties, { [name]: { name, kind: ReferenceKind.SCALAR, ...column } });
    if (decorated) addIndexes(jobClass, decorated.indexes);
    return jobClass as unknown as EntitySchema; // a decorated class is its own entity
  }
  made.setClass(jobClass as never);
  for (const [name, column] of ownDefaultsOf(jobClass)) made.addProperty(name as never, column.type as never, column as never);
  addIndexes(jobClass, made.meta.indexes);
  return made;
}

/** Base columns with the class's own defaults, so that a row inserted by SQL lands in its queue, and in its place there, too. */
function ownDefaultsOf(jobClass: JobClass): [BaseProperty, { type: string }][] {
  const { defaultQueue, options } = jobClass;
  return [
    ...(defaultQueue === AsyncJob.defaultQueue ? [] : [withDefault('queue', defaultQueue)]),
    ...(hasLane(jobClass) ? [withDefault('priority', options.priority ?? LANE_PRIORITY)] : []),
  ];
}

function withDefault(name: BaseProperty, value: unknown): [BaseProperty, { type: string }] {
  return [name, { ...(baseColumn(name) as { type: string }), default: value } as { type: string }];
}

/** Once, although jobs() may be asked twice. */
function addIndexes(jobClass: JobClass, indexes: object[]): void {
  const wanted = hasLane(jobClass) ? LANE_INDEXES : DISPATCH_INDEXES;
  indexes.push(...wanted.filter((index) => !indexes.includes(index)));
}

function hasLane({ options }: JobClass): boolean {
  return Boolean(options.lane);
}

function* parentsOf(jobClass: object): Generator<object> {
  for (
    let parent = Object.getPrototypeOf(jobClass) as object | null;
    parent && parent !== AsyncJob;
    parent = Object.getPrototypeOf(parent) as object | null
  )
    yield parent;
}

/** The job's name outside. */
export function jobTypeOf(jobClass: JobClass): string {
  return jobClass.jobType ?? jobClass.name;
}

export { AsyncJobAttempt, AsyncJobView, AsyncJobWorker };
