// The job types of one application: class, policy, and the handler that runs its jobs (the application's own wins over
// the module-wide one).
import type { MikroORM } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import type { JobPolicy } from '../domain/job-policy.ts';
import { AsyncJob } from '../entity/async-job.ts';
import { registeredHandlers, type RegisteredHandler } from '../entity/handler-registry.ts';
import { invalidSettings } from '../entity/invalid-settings.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import { problemsOfDefaults, problemsOfJobOptions, resolveJobOptions, type JobOptions } from '../entity/job-options.ts';
import { problemsOfStatics } from '../entity/job-statics.ts';
import type { JobClass, JobHandler } from '../entity/job-types.ts';

export interface JobType {
  jobType: string;
  jobClass: JobClass;
  policy: JobPolicy;
}

export class HandlerTable {
  readonly #types = new Map<string, JobType>();
  readonly #own = new Map<JobClass, RegisteredHandler>();

  /** @throws AsyncJobError `settings.invalid` for wrong options, `job.duplicate_type` */
  constructor(orm: MikroORM, defaults: JobOptions) {
    const classes = jobClassesOf(orm);
    refuseWrongOptions(classes, defaults);
    for (const jobClass of classes) {
      const jobType = jobTypeOf(jobClass);
      const other = this.#types.get(jobType);
      if (other)
        throw new AsyncJobError(
          'job.duplicate_type',
          `'${other.jobClass.name}' and '${jobClass.name}' both have the job type '${jobType}'. Give one another name.`,
        );
      this.#types.set(jobType, { jobType, jobClass, policy: resolveJobOptions(jobClass.options, defaults, jobType) });
    }
  }

  get types(): ReadonlyMap<string, JobType> {
    return this.#types;
  }

  /** @throws AsyncJobError `job.not_an_entity` */
  typeOf(jobClass: JobClass): JobType {
    const found = this.#types.get(jobTypeOf(jobClass));
    if (found?.jobClass === jobClass) return found;
    throw new AsyncJobError(
      'job.not_an_entity',
      `'${jobClass.name}' is not among the entities of the ORM. Put it into jobs(…) in the MikroORM configuration: entities: [...jobs(${jobClass.name})].`,
    );
  }

  /** @throws AsyncJobError `job.not_an_entity` */
  policyOf(jobType: string): JobPolicy {
    const found = this.#types.get(jobType);
    if (!found)
      throw new AsyncJobError(
        'job.not_an_entity',
        `'${jobType}' is not among the entities of the ORM. Put its class into jobs(…) in the MikroORM configuration.`,
      );
    return found.policy;
  }

  /** @throws AsyncJobError `handler.duplicate`, `job.not_an_entity` */
  handle(jobClass: JobClass, handler: JobHandler, populate: string[]): () => void {
    this.typeOf(jobClass);
    if (this.#own.has(jobClass))
      throw new AsyncJobError('handler.duplicate', `this application has a handler for '${jobClass.name}' already.`);
    this.#own.set(jobClass, { handler, populate });
    return () => this.#own.delete(jobClass);
  }

  handlerOf(jobClass: JobClass): RegisteredHandler | undefined {
    return this.#own.get(jobClass) ?? registeredHandlers().get(jobClass);
  }

  /** Job types with a handler. */
  handled(): JobType[] {
    return [...this.#types.values()].filter(({ jobClass }) => this.handlerOf(jobClass));
  }

  /** @throws AsyncJobError `job.not_an_entity`, naming every class that has a handler but no table */
  check(): void {
    const strangers = [...registeredHandlers().keys()].filter((jobClass) => this.#types.get(jobTypeOf(jobClass))?.jobClass !== jobClass);
    if (strangers.length === 0) return;
    const names = strangers.map(({ name }) => name);
    throw new AsyncJobError(
      'job.not_an_entity',
      `${names.map((name) => `'${name}'`).join(', ')} ${names.length === 1 ? 'has a handler, but is' : 'have handlers, but are'} not among the entities of the ORM. Put ${names.length === 1 ? 'it' : 'them'} into jobs(…) in the MikroORM configuration: entities: [...jobs(${names.join(', ')})].`,
    );
  }
}

function jobClassesOf(orm: MikroORM): JobClass[] {
  return [...orm.getMetadata().getAll().values()].flatMap((meta) => {
    const jobClass = meta.class as unknown as JobClass | undefined;
    return !meta.abstract && jobClass?.prototype instanceof AsyncJob ? [jobClass] : [];
  });
}

/** Of all classes at once, so that nobody repairs them one start at a time. */
function refuseWrongOptions(classes: readonly JobClass[], defaults: JobOptions): void {
  const problems = [
    ...problemsOfDefaults(defaults),
    ...classes.flatMap((jobClass) => [
      ...problemsOfStatics(jobClass),
      ...problemsOfJobOptions(jobClass.options, `${jobTypeOf(jobClass)}.options`),
    ]),
  ];
  if (problems.length > 0) throw invalidSettings('job options', problems);
}
