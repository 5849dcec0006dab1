// Opens lanes for one job type in one queue: when a bell says that there may be work, and by looking every second. It has one
// lane that claims at a time.
import { isAsyncJobError, type ErrorRecord } from '../domain/errors.ts';
import type { LaneEnd, LaneExecution, LaneReceipt, LaneRef } from '../domain/lane.ts';
import type { LaneRows, Log } from '../domain/ports.ts';
import { Alarm } from './alarm.ts';
import type { Lane } from './lane.ts';

export interface LaneOpenerParts extends LaneRef {
  rows: Pick<LaneRows, 'hasWork' | 'unhandled'>;
  /** Ids of the jobs that run in this process. */
  running(): readonly string[];
  /** Why this worker cannot run the jobs: it has no handler for them. `null`: it has one. */
  whyUnhandled(): ErrorRecord | null;
  /** Starts the workflow whose activity comes back to `serve()`; its number has not been used by this worker. */
  start(number: number): Promise<void>;
  createLane(execution: LaneExecution): Lane;
  /** The execution of a lane that runs without a workflow while Temporal is away; null: there is none. */
  withoutTemporal(): LaneExecution | null;
  log: Log;
}

const LOOK_EVERY_MS = 1_000;
/** From the start of the workflow until its activity is here. */
const ARRIVES_WITHIN_MS = 15_000;
/** Half of the time after which a row is to say why it waits; it is left to others for the first half. */
const SAY_UNHANDLED_EVERY_MS = 5_000;

export class LaneOpener {
  readonly #parts: LaneOpenerParts;
  readonly #alarm = new Alarm();
  #loop: Promise<void> = Promise.resolve();
  #isStopped = false;
  #number = 0;
  /** The one that claims. */
  #lane: Lane | null = null;
  /** All, those included that wait for their last jobs. */
  readonly #lanes = new Set<Lane>();
  #arrived: (() => void) | null = null;
  #isAway = false;
  #saidUnhandledAt = -Infinity;
  /** Without a workflow. */
  readonly #alone = new Set<Promise<unknown>>();

  constructor(parts: LaneOpenerParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** There may be something to do. */
  wake(): void {
    this.#lane?.wake();
    this.#alarm.ring();
  }

  /** No further lanes, and no further claims; what runs may end within the drain time. */
  close(): void {
    this.#isStopped = true;
    this.#alarm.ring();
    this.#arrived?.(); // none will
    for (const lane of this.#lanes) lane.close('shutdown');
  }

  /** Resolves when nothing is under way any more, except for lanes that Temporal waits for. */
  async closed(): Promise<void> {
    this.close();
    await this.#loop;
    await Promise.all(this.#alone);
  }

  /** The body of a lane's activity. */
  async serve(execution: LaneExecution): Promise<LaneReceipt> {
    this.#arrived?.();
    const before = this.#lane;
    const why: LaneEnd | null = this.#isStopped ? 'shutdown' : before && !before.isLost ? 'superfluous' : null;
    if (why !== null) return { jobs: 0, why };
    const lane = this.#parts.createLane(execution);
    this.#lane = lane;
    this.#lanes.add(lane);
    try {
      // A claim whose answer is under way has rows that no list knows.
      before?.close('lost');
      await before?.claimsNoMore;
      execution.onStop((reason) => (reason === 'lost' ? lane.lost() : lane.close(reason)));
      if (this.#isStopped) lane.close('shutdown');
      void lane.claimsNoMore.then(() => this.#claimsNoMore(lane));
      return await lane.run();
    } finally {
      this.#lanes.delete(lane);
    }
  }

  #claimsNoMore(lane: Lane): void {
    if (this.#lane === lane) this.#lane = null;
    this.#alarm.ring();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      // Jitter: workers that were started together do not look together.
      await this.#alarm.wait(LOOK_EVERY_MS * (0.75 + Math.random() / 2));
      if (this.#isStopped || (this.#lane !== null && !this.#lane.isLost)) continue;
      try {
        if (this.#lane !== null || (await this.#hasWork())) await this.#open();
        this.#isAway = false;
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  async #hasWork(): Promise<boolean> {
    const { rows, jobType, queue, worker, running, whyUnhandled } = this.#parts;
    const look = { jobType, queue, worker, running: running() };
    if (!(await rows.hasWork(look))) return false;
    const why = whyUnhandled();
    if (why === null) return true;
    if (performance.now() - this.#saidUnhandledAt > SAY_UNHANDLED_EVERY_MS) {
      await rows.unhandled(look, why);
      this.#sayUnhandled(why);
    }
    return false;
  }

  /** To the log once. */
  #sayUnhandled({ message }: ErrorRecord): void {
    const { jobType, queue, log } = this.#parts;
    if (this.#saidUnhandledAt === -Infinity) log.warn({ jobType, queue }, message);
    this.#saidUnhandledAt = performance.now();
  }

  async #open(): Promise<void> {
    const number = ++this.#number;
    const { promise: arrived, resolve } = Promise.withResolvers<void>();
    this.#arrived = resolve;
    const late = setTimeout(resolve, ARRIVES_WITHIN_MS);
    try {
      await this.#parts.start(number);
      await arrived;
    } finally {
      clearTimeout(late);
    }
  }

  #failed(error: unknown): void {
    const { jobType, queue, log } = this.#parts;
    const execution = isAsyncJobError(error, 'temporal.unavailable') ? this.#parts.withoutTemporal() : null;
    // Once per outage.
    if (!this.#isAway) {
      const what = execution === null ? 'no lane can be opened now; it is tried again' : 'Temporal is away: a lane runs without a workflow';
      log.warn({ err: error, jobType, queue }, what);
    }
    this.#isAway = true;
    if (execution !== null && this.#lane === null) this.#serveAlone(execution);
  }

  #serveAlone(execution: LaneExecution): void {
    const alone: Promise<unknown> = this.serve(execution).finally(() => this.#alone.delete(alone));
    this.#alone.add(alone);
  }
}
