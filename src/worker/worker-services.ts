// What every process that runs jobs needs, whoever owns its Temporal worker: an identity, a registry row, a relay, a
// lifeline, and the activities and interceptor that make Temporal's activities attempts of jobs.
import { hostname } from 'node:os';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { Pool } from 'pg';
import { createJobActivities, mirrorInterceptor, type AttemptSlots, type JobActivities } from '../../activities/index.ts';
import type { ApplicationParts } from '../app/application-parts.ts';
import { anotherPool } from '../app/open-pool.ts';
import type { FinalizeInput } from '../domain/workflow-input.ts';
import type { AttemptRegistry } from '../handlers/run-attempt.ts';
import { AttemptWatch } from '../mirror/attempt-watch.ts';
import { WorkerRegistry } from '../mirror/worker-registry.ts';
import { VERSION } from '../version.ts';
import { BackgroundLoops } from './background-loops.ts';
import { Lifeline } from './lifeline/lifeline.ts';
import { transferableOptions } from './lifeline/transferable-options.ts';
import { WorkerMetrics } from './metrics.ts';
import { WorkerLanes } from './worker-lanes.ts';

/** One for the registry's beats, one for the relay's sweep, one that listens. */
const OWN_CONNECTIONS_MAX = 3;
const WATCH_INTERVAL_MAX_MS = 2_000;

export interface WorkerServicesOptions {
  queues: readonly string[];
  concurrency: number;
  /** A limit that several queues share. */
  slots?: AttemptSlots;
  /** Absent: no lanes are opened. `drainTimeoutMs`: what their running attempts get at a shutdown. */
  lanes?: { drainTimeoutMs: number };
  /** @default what the settings say */
  probePort?: number | null;
}

export class WorkerServices {
  /** As in `job.workerId`, in the registry and in Temporal's identity. */
  readonly id: string;
  readonly activities: JobActivities;
  readonly interceptor: ActivityInterceptorsFactory;
  readonly metrics: WorkerMetrics;
  /** `null`: there are none. */
  readonly lanes: WorkerLanes | null;
  readonly #parts: ApplicationParts;
  readonly #registry: WorkerRegistry;
  readonly #loops: BackgroundLoops;
  readonly #watch: AttemptWatch;
  readonly #pool: Pool;
  readonly #lifeline: Lifeline;
  readonly #probePort: number | null;
  #opened: Promise<void> | undefined;
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(parts: ApplicationParts, options: WorkerServicesOptions) {
    const { queues, concurrency, slots, probePort = parts.settings.probePort } = options;
    const { name, pool, library, tables, mirror, settings, log } = parts;
    this.id = `${hostname()}:${process.pid}:${crypto.randomUUID().slice(0, 8)}`;
    this.#parts = parts;
    this.#probePort = probePort;
    // Connections of its own: a busy or blocked mirror must not make this worker look dead, nor hold up the relay.
    this.#pool = anotherPool(pool, { max: OWN_CONNECTIONS_MAX, log });
    this.#watch = new AttemptWatch(pool, tables, library, Math.min(settings.workerTtlMs / 5, WATCH_INTERVAL_MAX_MS), log);
    this.metrics = new WorkerMetrics({
      facts: mirror.facts,
      attemptsRunning: () => this.#lifeline.atWork,
      lastSweep: () => this.#loops.lastSweep,
    });
    const worker = {
      id: this.id,
      application: name,
      host: hostname(),
      pid: process.pid,
      version: VERSION,
      queues: [...queues],
      concurrency,
    };
    const beat = { workers: library.workers, worker, ttlMs: settings.workerTtlMs };
    this.#lifeline = new Lifeline({ beat, database: transferableOptions(pool), probePort, log, metrics: this.metrics });
    this.#registry = new WorkerRegistry(this.#pool, beat, log, this.#lifeline);
    const watch = this.#watch;
    const lanes = options.lanes
      ? WorkerLanes.of(parts, {
          queues,
          drainTimeoutMs: options.lanes.drainTimeoutMs,
          registry: this.#registry,
          watch: (ref, _, news) => watch.watch(ref, news),
          began: (ref, runTimeoutMs) => this.#lifeline.began(ref, runTimeoutMs),
        })
      : null;
    this.lanes = lanes;
    this.#loops = new BackgroundLoops(parts, {
      worker: this.id,
      pool: this.#pool,
      watch,
      metrics: this.metrics,
      ...(lanes ? { laneWanted: (queue: string) => lanes.wake(queue) } : {}),
    });
    const finalize = async ({ status, error, ...ref }: FinalizeInput) => void (await mirror.finalized(ref, { status, error }));
    this.activities = createJobActivities({ finalize });
    const runAttempt = parts.runAttemptWith(this.#attemptRegistry());
    this.interceptor = mirrorInterceptor({ finalize, runAttempt, ...(slots ? { slots } : {}) });
  }

  #attemptRegistry(): AttemptRegistry {
    const registry = this.#registry;
    return {
      id: registry.id,
      running: (jobId) => registry.running(jobId),
      list: (jobId) => registry.list(jobId),
      watch: (ref, runTimeoutMs, news) => {
        const unwatch = this.#watch.watch(ref, news);
        const ended = this.#lifeline.began(ref, runTimeoutMs);
        return () => {
          ended();
          unwatch();
        };
      },
    };
  }

  /** Ids of the jobs that it runs now. */
  get jobs(): string[] {
    return this.#registry.jobs;
  }

  /** Starts the lifeline, whose probes answer from now on. @throws AsyncJobError `settings.invalid`: their port is taken */
  open(): Promise<void> {
    return (this.#opened ??= this.#open());
  }

  async #open(): Promise<void> {
    if (this.#probePort !== null) this.metrics.collectProcess();
    await this.#lifeline.open();
  }

  /** Registers the worker, so that it may start jobs, and begins to sweep. */
  async start(): Promise<void> {
    await this.open();
    await this.#registry.start();
    this.#loops.start();
    this.lanes?.start();
    this.#state = 'started';
    this.#lifeline.advance('ready');
  }

  /** No further jobs are taken: it is not ready any more. */
  stopping(): void {
    this.#lifeline.advance('stopping');
    void this.#loops.stop();
    this.lanes?.close();
  }

  /**
   * `abandon`: what was left running may still run, so the registry row is not marked stopped, and the lifeline keeps it
   * alive until the process ends.
   */
  async stop(how: 'orderly' | 'abandon'): Promise<void> {
    if (this.#state === 'stopped') return;
    const wasStarted = this.#state === 'started';
    this.#state = 'stopped';
    this.#lifeline.advance(how === 'abandon' ? 'failed' : 'stopping');
    this.#watch.stop();
    this.lanes?.close();
    await this.#loops.stop();
    if (how === 'abandon' && wasStarted) {
      this.#registry.abandon();
      return;
    }
    await this.lanes?.stop();
    // Before the row says that this worker has stopped: no beat comes after it.
    await this.#lifeline.close();
    if (wasStarted) {
      await this.#registry.stop().catch((error: unknown) => {
        this.#parts.log.warn({ err: error }, 'the worker registry could not be told of the end; its row expires');
      });
    }
    await this.#pool.end();
  }
}
