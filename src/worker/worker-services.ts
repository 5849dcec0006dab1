// What every process that runs jobs needs, whoever owns its Temporal worker: an identity, a registry row, a relay, and
// the activities and interceptor that make Temporal's activities attempts of jobs.
import { hostname } from 'node:os';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { createJobActivities, mirrorInterceptor, type AttemptSlots, type JobActivities } from '../../activities/index.ts';
import type { ApplicationParts } from '../app/application-parts.ts';
import { UndispatchedRuns } from '../mirror/undispatched-runs.ts';
import { WorkerRegistry } from '../mirror/worker-registry.ts';
import { Relay } from '../relay/relay.ts';
import { VERSION } from '../version.ts';

export interface WorkerServicesOptions {
  queues: readonly string[];
  concurrency: number;
  /** A limit that several queues share. */
  slots?: AttemptSlots;
}

export class WorkerServices {
  /** As in `job.workerId`, in the registry and in Temporal's identity. */
  readonly id: string;
  readonly activities: JobActivities;
  readonly interceptor: ActivityInterceptorsFactory;
  readonly #parts: ApplicationParts;
  readonly #registry: WorkerRegistry;
  readonly #relay: Relay;
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(parts: ApplicationParts, { queues, concurrency, slots }: WorkerServicesOptions) {
    const { name, pool, library, tables, mirror, dispatcher, settings, log } = parts;
    this.id = `${hostname()}:${process.pid}:${crypto.randomUUID().slice(0, 8)}`;
    this.#parts = parts;
    const worker = {
      id: this.id,
      application: name,
      host: hostname(),
      pid: process.pid,
      version: VERSION,
      queues: [...queues],
      concurrency,
    };
    this.#registry = new WorkerRegistry(pool, library, worker, settings.workerTtlMs, log);
    this.#relay = new Relay({
      source: new UndispatchedRuns(pool, tables.values(), library),
      dispatch: (run) => dispatcher.dispatch(run),
      intervalMs: settings.relayIntervalMs,
      log,
    });
    this.activities = createJobActivities({
      finalize: async ({ status, error, ...ref }) => void (await mirror.finalized(ref, { status, error })),
    });
    this.interceptor = mirrorInterceptor({ runAttempt: parts.runAttemptWith(this.#registry), ...(slots ? { slots } : {}) });
  }

  /** Ids of the jobs that it runs now. */
  get jobs(): string[] {
    return this.#registry.jobs;
  }

  /** Registers the worker, so that it may start jobs, and begins to sweep. */
  async start(): Promise<void> {
    await this.#registry.start();
    this.#relay.start();
    this.#state = 'started';
  }

  /** `abandon`: what was left running may still run, so the registry row is not marked stopped. */
  async stop(how: 'orderly' | 'abandon'): Promise<void> {
    if (this.#state !== 'started') return;
    this.#state = 'stopped';
    await this.#relay.stop();
    if (how === 'abandon') {
      this.#registry.abandon();
      return;
    }
    await this.#registry.stop().catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, 'the worker registry could not be told of the end; its row expires');
    });
  }
}
