// The Temporal side of a worker process: one native connection, one SDK worker per queue, one workflow bundle.
// What attempts do, signals, the registry and restarts are not here.
import { GracefulShutdownPeriodExpiredError, IllegalStateError, Worker } from '@temporalio/worker';
import type { ActivityInterceptorsFactory, NativeConnection, WorkerOptions } from '@temporalio/worker';
import type { JobActivities, LaneActivities } from '../../activities/index.ts';
import type { Log } from '../domain/ports.ts';
import type { TemporalSettings } from '../temporal/connection.ts';
import { connectNative } from './connect-native.ts';
import { installRuntime } from './temporal-runtime.ts';
import { workerClassOf } from './worker-class.ts';
import { loadWorkflowBundle } from './workflow-bundle.ts';

export interface LaneWorkerOptions {
  taskQueue: string;
  activities: LaneActivities;
  activitiesMax: number;
}

export interface TemporalWorkerOptions {
  settings: TemporalSettings;
  /** Temporal's names of the queues (`taskQueueOf`); each gets an SDK worker. */
  taskQueues: readonly string[];
  /** Attempts that one queue may hold; with several queues, FairSlots limit how many of them run. */
  concurrency: number;
  activities: JobActivities;
  interceptors: ActivityInterceptorsFactory[];
  /** Of a worker with lanes; they get an SDK worker of their own. */
  lanes?: LaneWorkerOptions | null;
  /** Whether the workflow runs in the SDK's sandbox. @default false */
  workflowSandbox?: boolean;
  /** Shown in Temporal's UI and histories. */
  identity: string;
  log: Log;
  /** Time that attempts get after `shutdown()` until their signal aborts. */
  drainTimeoutMs: number;
  /** Time after that until attempts that do not stop are abandoned. @default ABANDON_TIMEOUT_MS */
  abandonTimeoutMs?: number;
  /** Whether to wait for a Temporal that is away. @default true */
  wait?: boolean;
  /** Told when it takes tasks, with the connection by which others may hand it some at once; calls back when it takes no more. */
  takesTasks?: (connection: NativeConnection) => () => void;
  /** Ends the waiting. */
  signal?: AbortSignal | undefined;
}

export const ABANDON_TIMEOUT_MS = 5_000;

export type TemporalWorkerState = 'ready' | 'running' | 'stopping' | 'stopped' | 'failed';

export class TemporalWorker {
  readonly #connection: NativeConnection;
  readonly #workers: readonly Worker[];
  readonly #takesTasks: NonNullable<TemporalWorkerOptions['takesTasks']>;
  #takesNoMore: () => void = () => undefined;
  #state: TemporalWorkerState = 'ready';

  private constructor(connection: NativeConnection, workers: readonly Worker[], takesTasks: TemporalWorkerOptions['takesTasks']) {
    this.#connection = connection;
    this.#workers = workers;
    this.#takesTasks = takesTasks ?? (() => () => undefined);
  }

  /**
   * Connects and prepares; tasks are taken from `run()` on.
   *
   * @throws AsyncJobError `temporal.namespace`; `temporal.unavailable` with `wait: false`
   */
  static async create(options: TemporalWorkerOptions): Promise<TemporalWorker> {
    installRuntime(options.log);
    const [connection, workflowBundle, JobsWorker] = await Promise.all([
      connectNative({ settings: options.settings, log: options.log, wait: options.wait ?? true, signal: options.signal }),
      loadWorkflowBundle(),
      workerClassOf(options.workflowSandbox ?? false, options.log),
    ]);
    const workers: Worker[] = [];
    const created = new TemporalWorker(connection, workers, options.takesTasks);
    try {
      for (const taskQueue of options.taskQueues) {
        workers.push(await JobsWorker.create({ ...toWorkerOptions(options), connection, workflowBundle, taskQueue }));
      }
      if (options.lanes) workers.push(await Worker.create({ ...toWorkerOptions(options), ...toLaneOptions(options.lanes), connection }));
    } catch (error) {
      await created.close();
      throw error;
    }
    return created;
  }

  get state(): TemporalWorkerState {
    return this.#state;
  }

  /**
   * Runs until `shutdown()` and until every attempt has ended. Rejects when a queue's worker failed (the others are stopped
   * then), and with AttemptsAbandoned when attempts did not stop in time: the process must exit.
   */
  async run(): Promise<void> {
    const isUnwanted = this.#state === 'stopping';
    this.#state = 'running';
    const runs = this.#workers.map((worker) => this.#runOne(worker));
    this.#takesNoMore = this.#takesTasks(this.#connection);
    if (isUnwanted) this.shutdown();
    const errors = (await Promise.allSettled(runs)).flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    this.#state = errors.length === 0 ? 'stopped' : 'failed';
    if (errors.length > 0) throw errors.find((error) => !isAbandonment(error)) ?? new AttemptsAbandoned(errors[0]);
    await this.#connection.close();
  }

  /** Takes no further tasks and lets the running ones end; `run()` resolves then, also one that is called afterwards. */
  shutdown(): void {
    if (this.#state !== 'running' && this.#state !== 'ready') return;
    this.#state = 'stopping';
    this.#takesNoMore();
    for (const worker of this.#workers) {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    }
  }

  /** For a worker that was created but shall not run. */
  async close(): Promise<void> {
    if (this.#state !== 'ready') return;
    // The core lets a worker go only after it ran.
    this.shutdown();
    await this.run();
  }

  async #runOne(worker: Worker): Promise<void> {
    try {
      await worker.run();
    } catch (error) {
      this.shutdown();
      throw error;
    }
  }
}

/** Attempts did not stop when their signal aborted. They may still run, and the native core cannot be let go. */
export class AttemptsAbandoned extends Error {
  override readonly name = 'AttemptsAbandoned';

  constructor(cause: unknown) {
    super('attempts did not stop in time and were abandoned', { cause });
  }
}

/** The SDK's way to say that `shutdownForceTime` is over is mostly a failure of its own last step. */
function isAbandonment(error: unknown): boolean {
  return (
    error instanceof GracefulShutdownPeriodExpiredError || (error instanceof IllegalStateError && error.message.includes('still in use'))
  );
}

/** Activities alone, and few of them. */
function toLaneOptions({ taskQueue, activities, activitiesMax }: LaneWorkerOptions): WorkerOptions {
  return {
    taskQueue,
    activities,
    interceptors: {},
    maxConcurrentActivityTaskExecutions: activitiesMax,
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
  };
}

function toWorkerOptions(options: TemporalWorkerOptions): Omit<WorkerOptions, 'taskQueue'> {
  const { settings, concurrency, activities, interceptors, identity, drainTimeoutMs, abandonTimeoutMs = ABANDON_TIMEOUT_MS } = options;
  return {
    namespace: settings.namespace,
    ...(settings.dataConverter === undefined ? {} : { dataConverter: settings.dataConverter }),
    identity,
    activities,
    interceptors: { activity: interceptors },
    maxConcurrentActivityTaskExecutions: concurrency,
    // Idle polls hold slots: with as many polls as slots no activity is ever dispatched eagerly.
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: concurrency > 1 ? 2 : 1 },
    workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 5 },
    maxCachedWorkflows: 200,
    // After a crash the next workflow task goes to the dead worker's own queue first, for so long.
    stickyQueueScheduleToStartTimeout: '1 second',
    // A cancellation arrives with the answer to a heartbeat.
    maxHeartbeatThrottleInterval: '2 seconds',
    defaultHeartbeatThrottleInterval: '2 seconds',
    shutdownGraceTime: drainTimeoutMs,
    shutdownForceTime: drainTimeoutMs + abandonTimeoutMs,
  };
}
