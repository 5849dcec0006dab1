// A worker process's composition root: waits for the servers, then runs the Temporal side and the services until a signal.
import type { ApplicationParts } from '../app/application-parts.ts';
import type { WorkerOptions } from '../app/async-jobs.ts';
import { readSettings, type Settings } from '../app/settings.ts';
import { AsyncJobError } from '../domain/errors.ts';
import { taskQueueOf } from '../domain/identity.ts';
import { settlesWithin } from '../domain/pause.ts';
import type { Log } from '../domain/ports.ts';
import { checkSchema } from './check-schema.ts';
import { onShutdownSignals } from './shutdown-signals.ts';
import { FairSlots } from './slots.ts';
import { ABANDON_TIMEOUT_MS, AttemptsAbandoned, TemporalWorker } from './temporal-worker.ts';
import { untilDatabaseAnswers } from './until-database-answers.ts';
import { WorkerServices } from './worker-services.ts';

export type { WorkerOptions };
export { AsyncJobPlugin } from './plugin.ts';

/** A worker of one process: `await using worker = await app.worker({ queues: ['default'] }); await worker.run();` */
export class JobWorker implements AsyncDisposable {
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly #log: Log;
  readonly #services: WorkerServices;
  /** `null`: told to end before it was ready. */
  readonly #temporal: TemporalWorker | null;
  readonly #slots: FairSlots;
  readonly #drainTimeoutMs: number;
  readonly #forgetSignals: () => void;
  #running: Promise<void> | undefined;
  #shutDownAt: number | undefined;

  /**
   * Checks and connects; the worker registers and takes jobs from `run()` on. A signal that comes while PostgreSQL or
   * Temporal is waited for ends the waiting, and `run()` resolves at once.
   */
  static async create(parts: ApplicationParts, options: WorkerOptions): Promise<JobWorker> {
    const { temporal, log, pool, name } = parts;
    if (!temporal) throw noWorkerInline();
    const { queues, concurrency, drainTimeoutMs, probePort } = settingsOf(options, parts.settings);
    const taskQueues = queues.map((queue) => taskQueueOf(name, queue));
    const wait = options.wait ?? true;
    const slots = new FairSlots(concurrency);
    const services = new WorkerServices(parts, { queues, concurrency, slots, lanes: { drainTimeoutMs }, probePort });
    const ending = new AbortController();
    const signal = options.signal ? AbortSignal.any([ending.signal, options.signal]) : ending.signal;
    const forgetSignals = (options.signals ?? true) ? onShutdownSignals(log, () => ending.abort()) : () => undefined;
    let temporalWorker: TemporalWorker | null = null;
    signal.addEventListener('abort', () => services.stopping(), { once: true });
    try {
      await services.open();
      await untilDatabaseAnswers(pool, { wait, log, signal });
      await checkSchema(pool, parts);
      temporalWorker = await TemporalWorker.create({
        settings: temporal.settings,
        taskQueues,
        concurrency,
        activities: services.activities,
        interceptors: [services.interceptor],
        lanes: services.lanes,
        takesTasks: (connection) => temporal.startsEagerly(connection, taskQueues),
        workflowSandbox: parts.settings.workflowSandbox,
        identity: name === '' ? `asyncjob ${services.id}` : `asyncjob ${name} ${services.id}`,
        log,
        drainTimeoutMs,
        wait,
        signal,
      });
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) {
        forgetSignals();
        await services.stop('orderly');
        throw error;
      }
    }
    const worker = new JobWorker(log, services, temporalWorker, {
      queues,
      concurrency,
      slots,
      drainTimeoutMs,
      forgetSignals,
    });
    if (signal.aborted) void worker.shutdown();
    else signal.addEventListener('abort', () => void worker.shutdown(), { once: true });
    return worker;
  }

  private constructor(
    log: Log,
    services: WorkerServices,
    temporal: TemporalWorker | null,
    options: {
      queues: readonly string[];
      concurrency: number;
      slots: FairSlots;
      drainTimeoutMs: number;
      forgetSignals: () => void;
    },
  ) {
    this.#log = log;
    this.#services = services;
    this.#temporal = temporal;
    this.queues = options.queues;
    this.concurrency = options.concurrency;
    this.#slots = options.slots;
    this.#drainTimeoutMs = options.drainTimeoutMs;
    this.#forgetSignals = options.forgetSignals;
  }

  /** The worker's id, as in `job.workerId` and in the registry. */
  get id(): string {
    return this.#services.id;
  }

  /**
   * Runs jobs until `shutdown()`, SIGTERM or SIGINT, and until the running ones have ended. A second signal ends the
   * process at once.
   *
   * @throws AsyncJobError `worker.abandoned` when attempts did not end in time: the process has to end then
   */
  run(): Promise<void> {
    return (this.#running ??= this.#run());
  }

  async #run(): Promise<void> {
    try {
      if (this.#temporal !== null) await this.#runJobs(this.#temporal);
      await this.#services.stop('orderly');
    } catch (error) {
      await this.#services.stop('abandon');
      throw error;
    } finally {
      this.#forgetSignals();
    }
    this.#log.info({ worker: this.id }, 'stopped');
  }

  async #runJobs(temporal: TemporalWorker): Promise<void> {
    try {
      await this.#services.start();
    } catch (error) {
      await temporal.close();
      throw error;
    }
    this.#log.info({ worker: this.id, queues: this.queues, concurrency: this.concurrency }, 'ready');
    try {
      await temporal.run();
      await this.#untilLanesEnded();
    } catch (error) {
      throw error instanceof AttemptsAbandoned ? this.#abandoned(error) : error;
    }
  }

  /** Temporal does not know of those that run without it. */
  async #untilLanesEnded(): Promise<void> {
    const { lanes } = this.#services;
    if (lanes === null) return;
    const now = performance.now();
    const leftMs = (this.#shutDownAt ?? now) + this.#drainTimeoutMs + ABANDON_TIMEOUT_MS - now;
    if (!(await settlesWithin(lanes.closed(), leftMs))) throw new AttemptsAbandoned(new Error('lanes without Temporal did not end'));
  }

  #abandoned(cause: unknown): AsyncJobError {
    const { jobs } = this.#services;
    const what =
      jobs.length > 0
        ? `attempts ended neither within the drain timeout (${this.#drainTimeoutMs} ms) nor soon after their task.signal aborted, of ${jobs.length === 1 ? 'job' : 'jobs'} ${jobs.join(', ')}. Other workers run them again. Let the handlers follow task.signal, or raise --drain-timeout.`
        : 'all attempts have ended and their rows know how, but Temporal could not be told. It hears it from the next attempt, once it answers again.';
    return new AsyncJobError('worker.abandoned', `${what} This process has to end.`, { cause });
  }

  /** Takes no further jobs, lets the running ones end within the drain timeout, and resolves when `run()` has. */
  async shutdown(): Promise<void> {
    this.#shutDownAt ??= performance.now();
    this.#services.stopping();
    this.#temporal?.shutdown();
    this.#slots.close();
    await this.#running?.catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running) await this.shutdown();
    else {
      this.#forgetSignals();
      await this.#temporal?.close();
      await this.#services.stop('orderly');
    }
  }
}

export function noWorkerInline(): AsyncJobError {
  return new AsyncJobError(
    'settings.invalid',
    "the inline engine needs no worker: it runs jobs where they are enqueued. Set engine: 'workflow', or unset ASYNCJOB_ENGINE.",
  );
}

/** What was not given comes from the process's settings; what was is checked as they are. */
function settingsOf(options: WorkerOptions, settings: Settings): Settings {
  const { queues, concurrency, drainTimeoutMs, probePort } = options;
  const inherited = {
    queues: settings.queues,
    concurrency: settings.concurrency,
    drainTimeoutMs: settings.drainTimeoutMs,
    probePort: settings.probePort,
  };
  return readSettings({}, { queues, concurrency, drainTimeoutMs, probePort }, inherited);
}
