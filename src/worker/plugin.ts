// For people who run Temporal already: puts the handlers of an application into a worker of theirs, beside their own
// workflows and activities. Their bundle exports our workflow: `export { jobWorkflow as MyJob } from 'asyncjob/workflows'`
// for each job type, or `export { default } from 'asyncjob/workflows'` for all.
import type { Worker, WorkerOptions, WorkerPlugin } from '@temporalio/worker';
import type { ApplicationParts } from '../app/application-parts.ts';
import type { PluginOptions } from '../app/async-jobs.ts';
import { readSettings } from '../app/settings.ts';
import { FINALIZE_ACTIVITY } from '../domain/workflow-input.ts';
import { checkSchema } from './check-schema.ts';
import { noWorkerInline } from './index.ts';
import { WorkerServices } from './worker-services.ts';

const LOOK_EVERY_MS = 250;

/** `Worker.create({ …, plugins: [await app.plugin()] })`. One worker per plugin. */
export class AsyncJobPlugin implements WorkerPlugin {
  readonly name = 'asyncjob';
  readonly #parts: ApplicationParts;
  readonly #probePort: number | null;
  #services: WorkerServices | undefined;

  private constructor(parts: ApplicationParts, probePort: number | null) {
    this.#parts = parts;
    this.#probePort = probePort;
  }

  /** @throws AsyncJobError `database.schema`, `settings.invalid` with the inline engine */
  static async create(parts: ApplicationParts, { killBlocked = false, ...settings }: PluginOptions = {}): Promise<AsyncJobPlugin> {
    if (!parts.temporal) throw noWorkerInline();
    // Not what the environment says: there may be several plugins in a process, and a port has room for one.
    const { probePort } = readSettings({}, settings);
    await checkSchema(parts.pool, parts);
    const inLanes = parts.handlers.handled().filter(({ policy }) => policy.lane !== null);
    if (inLanes.length > 0) {
      const names = inLanes.map(({ jobType }) => jobType);
      parts.log.warn({ jobTypes: names }, `the plugin opens no lanes: jobs of ${names.join(', ')} need an asyncjob worker beside it`);
    }
    return new AsyncJobPlugin(killBlocked ? parts : withoutKilling(parts), probePort);
  }

  configureWorker(options: WorkerOptions): WorkerOptions {
    // Given to the connection and to the worker, a plugin is asked twice.
    if (this.#services) return options;
    const queue = queueOf(options.taskQueue, this.#parts.name);
    const concurrency = options.maxConcurrentActivityTaskExecutions ?? 100;
    const services = new WorkerServices(this.#parts, { queues: [queue], concurrency, probePort: this.#probePort });
    this.#services = services;
    const { default: runHandler, [FINALIZE_ACTIVITY]: finalize } = services.activities;
    // By name instead of as the default activity: activities of theirs that nobody knows stay unknown.
    const ours = Object.fromEntries(this.#parts.handlers.handled().map(({ jobType }) => [jobType, runHandler]));
    return {
      ...options,
      activities: { ...options.activities, ...ours, [FINALIZE_ACTIVITY]: finalize },
      interceptors: { ...options.interceptors, activity: [...(options.interceptors?.activity ?? []), services.interceptor] },
      // As in workers of our own: a cancellation arrives with the answer to a heartbeat.
      maxHeartbeatThrottleInterval: options.maxHeartbeatThrottleInterval ?? '2 seconds',
      defaultHeartbeatThrottleInterval: options.defaultHeartbeatThrottleInterval ?? '2 seconds',
    };
  }

  async runWorker(worker: Worker, next: (worker: Worker) => Promise<void>): Promise<void> {
    // Who ends a worker of theirs does not tell us.
    const watching = setInterval(() => {
      if (worker.getState() !== 'INITIALIZED' && worker.getState() !== 'RUNNING') this.#services?.stopping();
    }, LOOK_EVERY_MS).unref();
    try {
      await this.#services?.start();
      await next(worker);
    } catch (error) {
      await this.#services?.stop('abandon');
      throw error;
    } finally {
      clearInterval(watching);
    }
    await this.#services?.stop('orderly');
  }
}

/** The process is theirs, with work of theirs in it: the lifeline is told of no time limits, so that it ends it for none. */
function withoutKilling(parts: ApplicationParts): ApplicationParts {
  return {
    ...parts,
    runAttemptWith: (registry) =>
      parts.runAttemptWith(registry && { ...registry, watch: (ref, _runTimeoutMs, news) => registry.watch(ref, null, news) }),
  };
}

/** The name of the queue within the application: Temporal's task queue without the application's name. */
function queueOf(taskQueue: string | undefined, applicationName: string): string {
  const prefix = applicationName === '' ? '' : `${applicationName}/`;
  return taskQueue?.startsWith(prefix) ? taskQueue.slice(prefix.length) : (taskQueue ?? 'default');
}
