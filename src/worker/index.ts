// A worker process's composition root: the registry row, the Temporal side, the relay, and the signals.
import { hostname } from 'node:os';
import { createJobActivities, mirrorInterceptor } from '../../activities/index.ts';
import type { ApplicationParts } from '../app/application-parts.ts';
import type { WorkerOptions } from '../app/async-jobs.ts';
import { readSettings, type Settings } from '../app/settings.ts';
import { AsyncJobError } from '../domain/errors.ts';
import { taskQueueOf } from '../domain/identity.ts';
import { UndispatchedRuns } from '../mirror/undispatched-runs.ts';
import { WorkerRegistry } from '../mirror/worker-registry.ts';
import { Relay } from '../relay/relay.ts';
import { VERSION } from '../version.ts';
import { checkSchema } from './check-schema.ts';
import { onShutdownSignals } from './shutdown-signals.ts';
import { FairSlots } from './slots.ts';
import { TemporalWorker } from './temporal-worker.ts';
import { untilDatabaseAnswers } from './until-database-answers.ts';

export type { WorkerOptions };

/** A worker of one process: `await using worker = await app.worker({ queues: ['default'] }); await worker.run();` */
export class JobWorker implements AsyncDisposable {
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly #parts: ApplicationParts;
  readonly #registry: WorkerRegistry;
  readonly #temporal: TemporalWorker;
  readonly #relay: Relay;
  readonly #signals: boolean;
  #running: Promise<void> | undefined;
  #isStopped = false;

  /** Registers the worker and connects; jobs are taken from `run()` on. */
  static async create(parts: ApplicationParts, options: WorkerOptions): Promise<JobWorker> {
    const { temporal, log, pool, tables, library, mirror, name } = parts;
    if (!temporal)
      throw new AsyncJobError(
        'settings.invalid',
        "the inline engine needs no worker: it runs jobs where they are enqueued. Set engine: 'workflow', or unset ASYNCJOB_ENGINE.",
      );
    const { workerTtlMs, relayIntervalMs } = parts.settings;
    const { queues, concurrency, drainTimeoutMs } = settingsOf(options, parts.settings);
    const wait = options.wait ?? true;
    await untilDatabaseAnswers(pool, { wait, log });
    await checkSchema(pool, parts);
    const id = `${hostname()}:${process.pid}:${crypto.randomUUID().slice(0, 8)}`;
    const registry = new WorkerRegistry(
      pool,
      library,
      { id, application: name, host: hostname(), pid: process.pid, version: VERSION, queues: [...queues], concurrency },
      workerTtlMs,
      log,
    );
    const slots = queues.length > 1 ? { slots: new FairSlots(concurrency) } : {};
    const temporalWorker = await TemporalWorker.create({
      settings: temporal.settings,
      taskQueues: queues.map((queue) => taskQueueOf(name, queue)),
      concurrency,
      activities: createJobActivities({
        finalize: async ({ status, error, ...ref }) => void (await mirror.finalized(ref, { status, error })),
      }),
      interceptors: [mirrorInterceptor({ runAttempt: parts.runAttemptWith(registry), ...slots })],
      identity: name === '' ? `asyncjob ${id}` : `asyncjob ${name} ${id}`,
      log,
      drainTimeoutMs,
      wait,
    });
    try {
      await registry.register();
    } catch (error) {
      await temporalWorker.close();
      throw error;
    }
    const relay = new Relay({
      source: new UndispatchedRuns(pool, tables.values(), library),
      dispatch: (run) => parts.dispatcher.dispatch(run),
      intervalMs: relayIntervalMs,
      log,
    });
    return new JobWorker(parts, registry, temporalWorker, relay, { queues, concurrency, signals: options.signals ?? true });
  }

  private constructor(
    parts: ApplicationParts,
    registry: WorkerRegistry,
    temporal: TemporalWorker,
    relay: Relay,
    options: { queues: readonly string[]; concurrency: number; signals: boolean },
  ) {
    this.#parts = parts;
    this.#registry = registry;
    this.#temporal = temporal;
    this.#relay = relay;
    this.queues = options.queues;
    this.concurrency = options.concurrency;
    this.#signals = options.signals;
  }

  /** The worker's id, as in `job.workerId` and in the registry. */
  get id(): string {
    return this.#registry.id;
  }

  /**
   * Runs jobs until `shutdown()`, SIGTERM or SIGINT, and until the running ones have ended. A second signal ends the
   * process at once. Rejects when attempts had to be abandoned: the process should end then.
   */
  run(): Promise<void> {
    return (this.#running ??= this.#run());
  }

  async #run(): Promise<void> {
    const { log } = this.#parts;
    const forget = this.#signals ? onShutdownSignals(log, () => void this.shutdown()) : () => undefined;
    this.#relay.start();
    log.info({ worker: this.id, queues: this.queues, concurrency: this.concurrency }, 'ready');
    try {
      await this.#temporal.run();
      await this.#stopped('stop');
    } catch (error) {
      // What was abandoned may still run: its registry row is left to expire.
      await this.#stopped('abandon');
      throw error;
    } finally {
      forget();
    }
    log.info({ worker: this.id }, 'stopped');
  }

  async #stopped(how: 'stop' | 'abandon'): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.#relay.stop();
    if (how === 'abandon') this.#registry.abandon();
    else
      await this.#registry
        .stop()
        .catch((error: unknown) =>
          this.#parts.log.warn({ err: error }, 'the worker registry could not be told of the end; its row expires'),
        );
  }

  /** Takes no further jobs, lets the running ones end within the drain timeout, and resolves when `run()` has. */
  async shutdown(): Promise<void> {
    this.#temporal.shutdown();
    await this.#running?.catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running) await this.shutdown();
    else {
      await this.#temporal.close();
      await this.#stopped('stop');
    }
  }
}

/** What was not given comes from the process's settings; what was is checked as they are. */
function settingsOf(options: WorkerOptions, settings: Settings): Settings {
  const { queues, concurrency, drainTimeoutMs } = options;
  const inherited = { queues: settings.queues, concurrency: settings.concurrency, drainTimeoutMs: settings.drainTimeoutMs };
  return readSettings({}, { queues, concurrency, drainTimeoutMs }, inherited);
}
