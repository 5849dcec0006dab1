// What the engine hears after the outermost commit: runs to execute, executions to stop. It never throws: the rows are
// right already, and relay and reconciler tell the engine what it could not be told.
import type { EntityManager } from '@mikro-orm/postgresql';
import { isAsyncJobError } from '../domain/errors.ts';
import type { CommittedRun, JobEngine, RunRef } from '../domain/ports.ts';
import type { AfterCommit } from './after-commit.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { LaneBell } from './lane-bell.ts';

export interface EngineCallsParts {
  engine: JobEngine;
  dispatcher: Dispatcher;
  afterCommit: AfterCommit;
  laneBell: LaneBell;
  /** Whether jobs of the type run in lanes: then the engine knows nothing of them. */
  inLanes(jobType: string): boolean;
  /** The engine runs the job where it is enqueued: wait for it even in a transaction's commit. */
  inline: boolean;
}

/** How executions are stopped: asked to, or ended without their consent. */
export interface Stop {
  terminate: boolean;
  /** For people, in Temporal's UI. */
  reason: string;
}

const CALLS_AT_ONCE = 50;

export class EngineCalls {
  readonly #parts: EngineCallsParts;

  constructor(parts: EngineCallsParts) {
    this.#parts = parts;
  }

  /** After the outermost commit; outside of a transaction now. All of one job type. */
  dispatch(em: EntityManager, runs: readonly CommittedRun[]): Promise<void> {
    const [first] = runs;
    if (first && this.#parts.inLanes(first.jobType)) return this.#ring(em, runs);
    return this.#committed(em, runs, async (run) => (await this.#parts.dispatcher.dispatch(run)) !== 'away');
  }

  /** The same for executions to stop. */
  stop(em: EntityManager, runs: readonly RunRef[], how: Stop): Promise<void> {
    const [first] = runs;
    // Its lane hears of it from the row.
    if (first && this.#parts.inLanes(first.jobType)) return Promise.resolve();
    return this.#committed(em, runs, (run) => this.#stop(run, how));
  }

  async #ring(em: EntityManager, runs: readonly CommittedRun[]): Promise<void> {
    const { afterCommit, laneBell } = this.#parts;
    const now = Date.now();
    const due = runs.filter(({ runAt }) => runAt === null || runAt.getTime() <= now);
    const ring = () => {
      for (const { queue } of due) laneBell.ring(queue);
    };
    if (!afterCommit.add(em, ring)) ring();
  }

  async #stop(run: RunRef, { terminate, reason }: Stop): Promise<boolean> {
    const { engine, dispatcher } = this.#parts;
    try {
      await (terminate ? engine.terminate(run, reason) : engine.cancel(run, reason));
      return true;
    } catch (error) {
      dispatcher.report(error);
      return !isAsyncJobError(error, 'temporal.unavailable');
    }
  }

  /** `call` says whether the engine can be reached: while it is away the others need not be tried. */
  async #committed<R>(em: EntityManager, runs: readonly R[], call: (run: R) => Promise<boolean>): Promise<void> {
    if (runs.length === 0) return;
    const { afterCommit, dispatcher, inline } = this.#parts;
    const callAll = async () => {
      let isAway = false;
      const queue = runs.values();
      const next = async () => {
        for (const run of queue) {
          isAway ||= !(await call(run));
          if (isAway) return;
        }
      };
      await Promise.all(Array.from({ length: inline ? 1 : Math.min(CALLS_AT_ONCE, runs.length) }, next));
    };
    // Tracked also when the caller waits: close() must not take the connection from under it.
    const begin = () => {
      const calls = callAll();
      dispatcher.track(calls);
      return calls;
    };
    const afterwards = inline ? begin : () => void begin();
    if (!afterCommit.add(em, afterwards)) await begin();
  }
}
