// What a worker process does beside running jobs: it dispatches what was left behind, compares jobs with Temporal, and
// listens for revocations.
import type { Pool } from 'pg';
import type { ApplicationParts } from '../app/application-parts.ts';
import { examinerPartsOf } from '../app/examiner-parts.ts';
import type { AttemptWatch } from '../mirror/attempt-watch.ts';
import { RevocationListener } from '../mirror/revocation-listener.ts';
import { isTransientDatabaseError } from '../mirror/transient.ts';
import { UndispatchedRuns } from '../mirror/undispatched-runs.ts';
import { Reconciler } from '../relay/reconciler.ts';
import { Relay, type Undispatched } from '../relay/relay.ts';
import type { WorkerMetrics } from './metrics.ts';

interface Loop {
  start(): void;
  /** Begins to stop at once; resolves when it has. */
  stop(): Promise<void>;
}

export interface BackgroundLoopsOptions {
  /** The worker's id. */
  worker: string;
  /** Connections of the worker's own. */
  pool: Pool;
  watch: AttemptWatch;
  metrics: Pick<WorkerMetrics, 'repaired'>;
  /** Rows of lanes were enqueued there; absent where there are no lanes. */
  laneWanted?(queue: string): void;
}

export class BackgroundLoops {
  readonly #relay: Relay;
  readonly #loops: readonly Loop[];
  #stopping: Promise<unknown> | undefined;

  constructor(parts: ApplicationParts, { worker, pool, watch, metrics, laneWanted }: BackgroundLoopsOptions) {
    const { tables, library, dispatcher, settings, log } = parts;
    this.#relay = new Relay({
      source: new UndispatchedRuns(pool, tables.values(), library),
      dispatch: (run) => dispatcher.dispatch(run),
      noted: () => dispatcher.noted(),
      intervalMs: settings.relayIntervalMs,
      log,
    });
    const reconciler = new Reconciler({
      ...examinerPartsOf(parts, { worker, quietMs: settings.reconcileIntervalMs }),
      intervalMs: settings.reconcileIntervalMs,
      isTransient: isTransientDatabaseError,
      onRepair: (kind) => metrics.repaired(kind),
    });
    const news = {
      revoked: (jobId: string) => watch.revoked(jobId),
      mayHaveMissed: () => void watch.look(),
      ...(laneWanted ? { laneWanted } : {}),
    };
    this.#loops = [this.#relay, reconciler, ...(settings.listen ? [new RevocationListener(pool, news, log)] : [])];
  }

  /** What the relay's last sweep found. */
  get lastSweep(): Undispatched | null {
    return this.#relay.lastSweep;
  }

  start(): void {
    for (const loop of this.#loops) loop.start();
  }

  /** May be called while running attempts drain, and again to wait for the end. */
  async stop(): Promise<void> {
    await (this.#stopping ??= Promise.all(this.#loops.map((loop) => loop.stop())));
  }
}
