// The lanes of a worker: an opener per queue and job type that runs in lanes, the mirror that they share, and the activity
// by which Temporal calls them.
import type { Pool } from 'pg';
import { createLaneActivities, type LaneActivities } from '../../activities/index.ts';
import type { ApplicationParts } from '../app/application-parts.ts';
import { anotherPool } from '../app/open-pool.ts';
import type { AttemptHost } from '../domain/attempt.ts';
import type { JobPolicy, LanePolicy } from '../domain/job-policy.ts';
import { laneTaskQueueOf, type LaneExecution, type LaneInput, type LaneReceipt, type LaneRef } from '../domain/lane.ts';
import type { AttemptRef, StartedRow } from '../domain/ports.ts';
import { missingHandlerError } from '../handlers/missing-handler.ts';
import { runStarted, type AttemptRegistry } from '../handlers/run-attempt.ts';
import { Lane, type LaneList } from '../lanes/lane.ts';
import { LaneOpener } from '../lanes/lane-opener.ts';
import { LaneMirror } from '../mirror/lane-mirror.ts';
import type { WorkerRegistry } from '../mirror/worker-registry.ts';
import { startLane } from '../temporal/lane-starter.ts';

/** One that claims, one that writes ends, and those for what is written row by row. */
const CONNECTIONS_MAX = 4;

export interface WorkerLanesOptions {
  queues: readonly string[];
  drainTimeoutMs: number;
  registry: WorkerRegistry;
  /** Tells an attempt when its row moves on. */
  watch: AttemptRegistry['watch'];
  /** A handler is at work; returns how to say that it has ended. */
  began(ref: AttemptRef, runTimeoutMs: number | null): () => void;
}

type LaneType = JobPolicy & { lane: LanePolicy };

export class WorkerLanes {
  /** For the SDK worker that takes nothing but this worker's lanes. */
  readonly taskQueue: string;
  readonly activities: LaneActivities;
  readonly #parts: ApplicationParts;
  readonly #options: WorkerLanesOptions;
  readonly #pool: Pool;
  readonly #mirror: LaneMirror;
  readonly #list: ListedRows;
  readonly #openers = new Map<string, LaneOpener>();

  /** `null`: the application has no job types that run in lanes. */
  static of(parts: ApplicationParts, options: WorkerLanesOptions): WorkerLanes | null {
    const types = [...parts.handlers.types.values()].filter(({ policy }) => policy.lane !== null);
    return types.length === 0
      ? null
      : new WorkerLanes(parts, options, new Map(types.map(({ jobType, policy }) => [jobType, policy as LaneType])));
  }

  private constructor(parts: ApplicationParts, options: WorkerLanesOptions, types: ReadonlyMap<string, LaneType>) {
    const { name, pool, tables, library, mirror, settings, log } = parts;
    const { registry, queues } = options;
    this.#parts = parts;
    this.#options = options;
    this.#pool = anotherPool(pool, { max: CONNECTIONS_MAX, prepare: settings.listen, log });
    this.#mirror = new LaneMirror({
      pool: this.#pool,
      tables,
      library,
      applicationName: name,
      facts: mirror.facts,
      prepare: settings.listen,
    });
    this.#list = new ListedRows(registry, (ref) => options.began(ref, types.get(ref.jobType)!.runTimeoutMs));
    this.taskQueue = laneTaskQueueOf(name, registry.id);
    this.activities = createLaneActivities({ serve: (input, execution) => this.#serve(input, execution) });
    for (const queue of queues)
      for (const [jobType, policy] of types)
        this.#openers.set(keyOf({ jobType, queue }), this.#openerOf({ jobType, queue, worker: registry.id }, policy));
  }

  /** As many as may run at the same time: of each one that claims, and some that wait for their last jobs. */
  get activitiesMax(): number {
    return this.#openers.size * 4;
  }

  start(): void {
    for (const opener of this.#openers.values()) opener.start();
  }

  /** A queue may have jobs for a lane. */
  wake(queue: string): void {
    for (const [key, opener] of this.#openers) if (key.startsWith(`${queue}/`)) opener.wake();
  }

  /** No further jobs are taken; those that run may end within the drain time. */
  close(): void {
    for (const opener of this.#openers.values()) opener.close();
  }

  /** Resolves when nothing is under way any more, except for lanes that Temporal waits for. */
  async closed(): Promise<void> {
    await Promise.all([...this.#openers.values()].map((opener) => opener.closed()));
  }

  async stop(): Promise<void> {
    await this.closed();
    await this.#pool.end();
  }

  #serve(input: LaneInput, execution: LaneExecution): Promise<LaneReceipt> {
    const opener = this.#openers.get(keyOf(input));
    return opener ? opener.serve(execution) : Promise.resolve({ jobs: 0, why: 'superfluous' });
  }

  #openerOf(lane: LaneRef, policy: LaneType): LaneOpener {
    const { handlers, temporal, settings, name, log } = this.#parts;
    const jobClass = handlers.types.get(lane.jobType)!.jobClass;
    return new LaneOpener({
      ...lane,
      rows: this.#mirror,
      running: () => this.#list.jobs,
      whyUnhandled: () => (handlers.handlerOf(jobClass) ? null : missingHandlerError(handlers, lane)),
      start: (number) => startLane(temporal!, name, lane, number),
      createLane: (execution) => this.#createLane(lane, policy, execution),
      withoutTemporal: () => (settings.lanesWithoutTemporal ? alone() : null),
      log,
    });
  }

  #createLane(lane: LaneRef, { lane: policy, crashRetries }: LaneType, { workflowId, runId, info }: LaneExecution): Lane {
    const { settings, log } = this.#parts;
    const { registry, watch } = this.#options;
    // It is listed by the lane, many at once.
    const attempts: AttemptRegistry = { id: registry.id, running: (id) => registry.running(id), list: (id) => registry.list(id), watch };
    const dependencies = { ...this.#parts.attemptDependencies(attempts), mirror: this.#mirror, routineLevel: 'debug' as const };
    return new Lane({
      ...lane,
      workflowId,
      runId,
      policy,
      crashRetries,
      rows: this.#mirror,
      list: this.#list,
      run({ ref, row }, signal) {
        const host: AttemptHost = { ref, queue: lane.queue, signal, heartbeat() {}, info };
        return runStarted(host, row, dependencies);
      },
      takeoverIntervalMs: settings.workerTtlMs / 3,
      drainTimeoutMs: this.#options.drainTimeoutMs,
      log,
    });
  }
}

/** The worker's list, changed for many rows at once: the lifeline hears of them in one message. */
class ListedRows implements LaneList {
  readonly #registry: WorkerRegistry;
  readonly #began: (ref: AttemptRef) => () => void;
  readonly #listed = new Map<StartedRow, () => void>();
  #ended: (() => void)[] = [];

  constructor(registry: WorkerRegistry, began: (ref: AttemptRef) => () => void) {
    this.#registry = registry;
    this.#began = began;
  }

  get jobs(): string[] {
    return this.#registry.jobs;
  }

  claiming(claim: () => Promise<StartedRow[]>): Promise<StartedRow[]> {
    return this.#registry.claiming(async () => {
      const some = await claim();
      this.#registry.together(() => {
        for (const started of some) this.#begin(started);
      });
      return some;
    });
  }

  #begin(started: StartedRow): void {
    const listing = this.#registry.list(started.ref.id);
    const handlerEnded = this.#began(started.ref);
    this.#listed.set(started, () => {
      handlerEnded();
      listing.end();
    });
  }

  ended(started: StartedRow): void {
    const end = this.#listed.get(started);
    this.#listed.delete(started);
    if (!end || this.#ended.push(end) > 1) return;
    setImmediate(() => {
      const ended = this.#ended;
      this.#ended = [];
      this.#registry.together(() => {
        for (const each of ended) each();
      });
    });
  }
}

function alone(): LaneExecution {
  return { workflowId: null, runId: `alone-${crypto.randomUUID()}`, info: null, onStop() {} };
}

function keyOf({ jobType, queue }: { jobType: string; queue: string }): string {
  return `${queue}/${jobType}`;
}
