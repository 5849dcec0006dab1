// Which application a call belongs to, and what an application does for a job. The application object itself is wired
// in src/app; entities know only this port.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Configuration, FilterQuery, FindOptions, Loaded } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import type { Status } from '../domain/lifecycle.ts';
import type { AsyncJob, RevokeOptions } from './async-job.ts';
import { managerOf } from './entity-state.ts';
import type { DataThen, EnqueueOptions, JobClass, JobInput, WaitOptions, Within } from './job-types.ts';

/** The statics of a job class, bound to one application. */
export interface BoundJob<T extends AsyncJob> {
  create(...args: DataThen<T, Within>): Promise<T>;
  enqueue(...args: DataThen<T, EnqueueOptions>): Promise<T>;
  enqueueMany(rows: Iterable<JobInput<T>>, options?: EnqueueOptions): Promise<string[]>;
  revokeMany(where: FilterQuery<T>, options?: RevokeOptions): Promise<string[]>;
  retryMany(where: FilterQuery<T>, options?: EnqueueOptions): Promise<string[]>;
  get(id: string, options?: Within): Promise<T | null>;
  find<H extends string = never>(where: FilterQuery<T>, options?: FindOptions<T, H> & Within): Promise<Loaded<T, H>[]>;
  latest(options?: Within): Promise<T | null>;
  count(where?: FilterQuery<T>, options?: Within): Promise<number>;
}

/** What an application does for its jobs. */
export interface Application {
  readonly name: string;
  /** The MikroORM configuration object by which entities and entity managers are told apart. */
  readonly ormConfig: Configuration;
  of<T extends AsyncJob>(jobClass: JobClass<T>): BoundJob<T>;
  enqueue(job: AsyncJob, options: EnqueueOptions): Promise<void>;
  revoke(job: AsyncJob, options: RevokeOptions): Promise<Status>;
  retry(job: AsyncJob, options: EnqueueOptions): Promise<void>;
  wait(job: AsyncJob, options: WaitOptions): Promise<void>;
  refresh(job: AsyncJob, options: Within): Promise<void>;
  save(job: AsyncJob, options: Within): Promise<void>;
}

// On globalThis, so that a second copy of this library in one process still finds the open applications.
const STORE = Symbol.for('asyncjob.applications');
interface Store {
  open: Set<Application>;
  current: AsyncLocalStorage<Application>;
  /** Names of closed applications, by their ORM's configuration. */
  closed: WeakMap<Configuration, string>;
}
const store: Store = ((globalThis as Record<symbol, unknown>)[STORE] ??= {
  open: new Set(),
  current: new AsyncLocalStorage(),
  closed: new WeakMap(),
}) as Store;

export function openApplications(): ReadonlySet<Application> {
  return store.open;
}

export function applicationOpened(application: Application): void {
  store.open.add(application);
}

export function applicationClosed(application: Application): void {
  store.open.delete(application);
  store.closed.set(application.ormConfig, application.name);
}

/** Runs `fn` with `application` as the one that statics without an `em` belong to. */
export function runInApplication<R>(application: Application, fn: () => R): R {
  return store.current.run(application, fn);
}

/**
 * The application of `em`, else of the job, else the surrounding one (a handler's, or `app.run`'s), else the only open one.
 *
 * @throws AsyncJobError `app.not_connected`, `app.ambiguous`, `app.closed`
 */
export function applicationOf(job: AsyncJob | null, em?: EntityManager): Application {
  const config = em?.config ?? (job && managerOf(job)?.config);
  // Never another one than its own: a row of that name may exist there, too.
  if (config) return applicationWith(config, em ? 'the EntityManager given' : "the job's EntityManager");
  const current = store.current.getStore();
  if (current && store.open.has(current)) return current;
  const [only, another] = store.open;
  if (!only) throw new AsyncJobError('app.not_connected', 'no application is open. Call `await AsyncJobs.connect(config)` first.');
  if (another) {
    const names = [...store.open].map((application) => `'${application.name}'`).join(', ');
    throw new AsyncJobError(
      'app.ambiguous',
      `${store.open.size} applications are open (${names}) and this call names none. Use app.of(MyJob), app.run(() => …), or pass { em }.`,
    );
  }
  return only;
}

function applicationWith(config: Configuration, whose: string): Application {
  for (const application of store.open) if (application.ormConfig === config) return application;
  const closed = store.closed.get(config);
  if (closed !== undefined) throw new AsyncJobError('app.closed', `the application '${closed}' was closed; ${whose} belongs to it.`);
  throw new AsyncJobError('app.not_connected', `${whose} belongs to no open application. Call AsyncJobs.connect() with its ORM first.`);
}
