// The application object: what applications call, over the parts that open-parts.ts wires. Workers are loaded only when asked
// for, so that a web process never loads the native Temporal core.
import type { Configuration, FilterQuery, FindOptions } from '@mikro-orm/core';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import type { Client } from '@temporalio/client';
import { AsyncJobError } from '../domain/errors.ts';
import type { Status } from '../domain/lifecycle.ts';
import type { Log } from '../domain/ports.ts';
import { toCallerError } from '../enqueue/database-errors.ts';
import { entityManagerFor, isInOpenTransaction } from '../enqueue/entity-manager.ts';
import { applicationClosed, applicationOpened, runInApplication, type Application, type BoundJob } from '../entity/application.ts';
import type { AsyncJob, RevokeOptions } from '../entity/async-job.ts';
import { currentAttempt } from '../entity/current-attempt.ts';
import { managerOf } from '../entity/entity-state.ts';
import { countJobs, findJobs, getJob, latestJob, untilSettled } from '../entity/job-reads.ts';
import type { EnqueueOptions, JobClass, JobHandler, WaitOptions, Within } from '../entity/job-types.ts';
import { discoverHandlers } from '../handlers/discover.ts';
import { reconcileOnce, type Reconciliation, type ReconcileOptions } from '../relay/reconcile-once.ts';
import { UndispatchedRuns } from '../mirror/undispatched-runs.ts';
import type { JobWorker } from '../worker/index.ts';
import type { AsyncJobPlugin } from '../worker/plugin.ts';
import type { ApplicationParts } from './application-parts.ts';
import { defineConfig, type Config, type Teardown } from './config.ts';
import { configPlace } from './load-config.ts';
import { DATABASE_ERRORS } from './database-errors.ts';
import { examinerPartsOf } from './examiner-parts.ts';
import { createLog } from './log.ts';
import { openCommands, type Commands } from './open-commands.ts';
import { openOrm } from './open-orm.ts';
import { openParts } from './open-parts.ts';
import { readSettings, type Settings } from './settings.ts';

export interface ConnectOptions {
  /** @default read from the environment */
  settings?: Settings;
  /** @default pino, as the settings say */
  log?: Log;
  /** Below which handlers are discovered, and their extension. @default where asyncjob.config.* lies in the current folder */
  handlersFolder?: { folder: string; extension: string };
}

export interface WorkerOptions {
  /** @default ['default'] */
  queues?: string[];
  /** How many jobs run at the same time in this process. @default the number of processors */
  concurrency?: number;
  /** Time that running attempts get after SIGTERM. Milliseconds. @default 30_000 */
  drainTimeoutMs?: number;
  /** Where the worker answers probes and metrics; 0: a free port, `null`: nowhere. @default what the settings say */
  probePort?: number | null;
  /** Wait for PostgreSQL and Temporal when they are away at the start. @default true */
  wait?: boolean;
  /** End on SIGTERM and SIGINT. @default true */
  signals?: boolean;
  /** Ends the worker as SIGTERM does, also while it waits for its servers. */
  signal?: AbortSignal;
}

export interface PluginOptions {
  /** Where probes and metrics are answered; 0: a free port. The environment's is not taken. @default null: nowhere */
  probePort?: number | null;
  /**
   * End the process, as a worker of ours does, when an attempt exceeds its `runTimeout` in a blocked event loop: with all
   * that is at work in it besides jobs. @default false: it is only logged
   */
  killBlocked?: boolean;
}

/** What was enqueued or started just now may not be in Temporal's lists yet. */
const RECONCILE_QUIET_MS = 5_000;

/** An open application: `await using app = await AsyncJobs.connect(config)`. */
export class AsyncJobs implements Application, AsyncDisposable {
  readonly name: string;
  readonly #config: Config;
  readonly #parts: ApplicationParts;
  readonly #ormIsOurs: boolean;
  readonly #commands: Commands;
  readonly #handlersFolder: ConnectOptions['handlersFolder'];
  #teardown: Teardown | undefined;
  #ready: Promise<void> | undefined;
  #isClosed = false;

  /**
   * Opens an application. Neither PostgreSQL nor Temporal need to be there yet.
   *
   * @throws AsyncJobError `settings.invalid`, `app.context_name`, `job.not_an_entity`, `job.duplicate_type`
   */
  static async connect(config: Config, options: ConnectOptions = {}): Promise<AsyncJobs> {
    defineConfig(config);
    const settings = options.settings ?? readSettings(process.env, {}, { engine: config.engine });
    const log = options.log ?? createLog(settings.logLevel, { format: settings.logFormat });
    const opened = await openOrm(config.orm, settings.databaseUrl);
    let app: AsyncJobs;
    try {
      const parts = await openParts(config, { settings, log, orm: opened.orm, application: () => app });
      app = new AsyncJobs(config, parts, opened.isOurs, options.handlersFolder);
    } catch (error) {
      if (opened.isOurs) await opened.orm.close();
      throw error;
    }
    applicationOpened(app);
    try {
      if (settings.engine === 'inline') await app.prepare();
      return app;
    } catch (error) {
      await app.close();
      throw error;
    }
  }

  private constructor(config: Config, parts: ApplicationParts, ormIsOurs: boolean, handlersFolder: ConnectOptions['handlersFolder']) {
    this.name = parts.name;
    this.#config = config;
    this.#parts = parts;
    this.#ormIsOurs = ormIsOurs;
    this.#handlersFolder = handlersFolder;
    this.#commands = openCommands(parts, () => this.#refuseClosed());
  }

  get orm(): MikroORM {
    return this.#parts.orm;
  }

  get ormConfig(): Configuration {
    return this.#parts.orm.config;
  }

  /** A Temporal client with this application's connection. @throws AsyncJobError `temporal.unavailable` with the inline engine */
  get temporal(): Client {
    if (!this.#parts.temporal) throw new AsyncJobError('temporal.unavailable', 'the inline engine has no Temporal.');
    return this.#parts.temporal.client;
  }

  /** The job classes that have a handler, with it. */
  get handlers(): ReadonlyMap<JobClass, JobHandler> {
    const { handlers } = this.#parts;
    return new Map(handlers.handled().map(({ jobClass }) => [jobClass, handlers.handlerOf(jobClass)!.handler]));
  }

  /** This application's handler of a job class; wins over the module-wide one until it is disposed. */
  handle<T extends AsyncJob>(jobClass: JobClass<T>, handler: JobHandler<T>, options: { populate?: string[] } = {}): Disposable {
    const remove = this.#parts.handlers.handle(jobClass, handler as JobHandler, options.populate ?? []);
    return { [Symbol.dispose]: remove };
  }

  /** Runs `fn` so that job classes without an `em` belong to this application. */
  run<R>(fn: () => R): R {
    return runInApplication(this, fn);
  }

  /** The statics of a job class, bound to this application. */
  of<T extends AsyncJob>(jobClass: JobClass<T>): BoundJob<T> {
    const { orm, handlers } = this.#parts;
    const read = async <R>(options: Within | undefined, query: (em: EntityManager) => Promise<R>): Promise<R> => {
      this.#refuseClosed();
      const { jobType } = handlers.typeOf(jobClass);
      try {
        return await query(entityManagerFor(orm, null, options?.em));
      } catch (error) {
        throw toCallerError(error, jobType, DATABASE_ERRORS);
      }
    };
    return {
      create: (data?: object, options?: Within) => this.#commands.one.create(jobClass, data, options),
      enqueue: (data?: object, options?: EnqueueOptions) =>
        this.#settledInline(this.#commands.one.enqueueNew(jobClass, data, options), options),
      enqueueMany: (rows: Iterable<object>, options?: EnqueueOptions) => this.#commands.many.enqueue(jobClass, rows, options),
      revokeMany: (where: FilterQuery<T>, options?: RevokeOptions) => this.#commands.many.revoke(jobClass, where, options),
      retryMany: (where: FilterQuery<T>, options?: EnqueueOptions) => this.#commands.many.retry(jobClass, where, options),
      get: (id: string, options?: Within) => read(options, (em) => getJob(em, jobClass, id)),
      find: (where: FilterQuery<T>, { em: given, ...options }: FindOptions<T> & Within = {}) =>
        read(given ? { em: given } : {}, (em) => findJobs(em, jobClass, where, options as FindOptions<T>)),
      latest: (options?: Within) => read(options, (em) => latestJob(em, jobClass)),
      count: (where?: FilterQuery<T>, options?: Within) => read(options, (em) => countJobs(em, jobClass, where)),
    } as unknown as BoundJob<T>;
  }

  async enqueue(job: AsyncJob, options: EnqueueOptions): Promise<void> {
    await this.#commands.one.enqueue(job, options);
    await this.#settledInline(Promise.resolve(job), options);
  }

  async retry(job: AsyncJob, options: EnqueueOptions): Promise<void> {
    await this.#commands.one.retry(job, options);
    await this.#settledInline(Promise.resolve(job), options);
  }

  revoke(job: AsyncJob, options: RevokeOptions): Promise<Status> {
    return this.#commands.one.revoke(job, options);
  }

  async wait(job: AsyncJob, options: WaitOptions): Promise<void> {
    const { orm } = this.#parts;
    const ambient = orm.em.getContext(false) as EntityManager;
    if ([managerOf(job), ambient].some((em) => em && isInOpenTransaction(em))) {
      throw new AsyncJobError(
        'job.wait_in_transaction',
        `wait() for a job in an open transaction would hold that until the job ends, and a job of this transaction runs only after its commit. Wait after it.`,
      );
    }
    const signal = options.signal ?? currentAttempt()?.signal;
    await untilSettled(orm.em, job, { ...options, ...(signal ? { signal } : {}) });
    await this.refresh(job, {});
  }

  refresh(job: AsyncJob, options: Within): Promise<void> {
    return this.#commands.ownColumns.refresh(job, options);
  }

  save(job: AsyncJob, options: Within): Promise<void> {
    return this.#commands.ownColumns.save(job, options);
  }

  /** The inline engine has run the job by now, unless its transaction is still open: show what became of it. */
  async #settledInline<T extends AsyncJob>(enqueued: Promise<T>, { em }: Within = {}): Promise<T> {
    const job = await enqueued;
    if (this.#parts.settings.engine !== 'inline' || entityManagerFor(this.#parts.orm, job, em).isInTransaction()) return job;
    await this.refresh(job, {});
    return job;
  }

  /** Runs `setup` and discovers handlers, once. Workers do it by themselves. */
  prepare(): Promise<void> {
    return (this.#ready ??= this.#prepare());
  }

  async #prepare(): Promise<void> {
    const { handlers, log } = this.#parts;
    this.#teardown = (await this.#config.setup?.(this)) ?? undefined;
    const where = this.#handlersFolder ?? (await configPlace(process.cwd()));
    if (where) {
      const files = await this.run(() =>
        discoverHandlers({ ...where, ...(this.#config.handlers ? { patterns: this.#config.handlers } : {}) }),
      );
      log.debug({ files }, 'handlers discovered');
    }
    handlers.check();
  }

  /**
   * A worker for some queues of this application; `await worker.run()` runs it until SIGTERM, drained.
   *
   * @throws AsyncJobError `settings.invalid`, `handler.load_failed`, `database.schema`, `temporal.namespace`;
   * with `wait: false` also `database.unavailable` and `temporal.unavailable`
   */
  async worker(options: WorkerOptions = {}): Promise<JobWorker> {
    this.#refuseClosed();
    const { JobWorker } = await import('../worker/index.ts');
    await this.prepare();
    return JobWorker.create(this.#parts, options);
  }

  /**
   * A plugin that puts this application's handlers into a Temporal worker of one's own, beside other workflows:
   * `Worker.create({ taskQueue, workflowsPath, plugins: [await app.plugin()] })`.
   *
   * @throws AsyncJobError `handler.load_failed`, `database.schema`, `settings.invalid` for wrong options or with the inline engine
   */
  async plugin(options: PluginOptions = {}): Promise<AsyncJobPlugin> {
    this.#refuseClosed();
    const { AsyncJobPlugin: Plugin } = await import('../worker/plugin.ts');
    await this.prepare();
    return Plugin.create(this.#parts, options);
  }

  /**
   * Compares all open jobs with Temporal and tells every difference, with what is to be done about it; `repair: true` does
   * it. Workers do so by themselves, all the time: this is for people and scripts, as is `asyncjob doctor --fix`.
   *
   * @throws AsyncJobError `temporal.unavailable`, `settings.invalid` with the inline engine
   */
  async reconcile(options: ReconcileOptions = {}): Promise<Reconciliation> {
    this.#refuseClosed();
    const { pool, tables, library, dispatcher } = this.#parts;
    const undispatched = new UndispatchedRuns(pool, tables.values(), library);
    const examinerParts = examinerPartsOf(this.#parts, { worker: null, quietMs: RECONCILE_QUIET_MS });
    return reconcileOnce({ ...examinerParts, undispatched, noted: () => dispatcher.noted() }, options);
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw new AsyncJobError('app.closed', `the application '${this.name}' was closed.`);
  }

  /** Waits for dispatches under way, then closes connections. The ORM too, unless it was given initialised. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    applicationClosed(this);
    try {
      await this.#parts.dispatcher.settled();
      await this.#parts.engine.close();
    } finally {
      this.#commands.unsubscribe();
      try {
        await this.#teardown?.();
      } finally {
        try {
          await this.#parts.pool.end();
        } finally {
          if (this.#ormIsOurs) await this.orm.close();
        }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
