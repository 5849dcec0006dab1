// The main thread's side of the lifeline: tells the thread (thread.ts) that the loop turns, in which phase the worker is
// and which jobs run, and says afterwards what the thread could not say itself.
import inspector from 'node:inspector';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { recipeOf } from '../../app/log.ts';
import { AsyncJobError } from '../../domain/errors.ts';
import type { AttemptRef, Log } from '../../domain/ports.ts';
import type { BeatSource } from '../../mirror/beat.ts';
import type { BeatsFromOutside } from '../../mirror/worker-registry.ts';
import { seconds } from './describe-block.ts';
import type { FromThread, ThreadData, ToThread } from './messages.ts';
import { SharedState, type Phase } from './shared-state.ts';

const TICK_EVERY_MS = 100;
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

export interface LifelineOptions {
  beat: BeatSource;
  /** Options for a connection of its own, as `transferableOptions` gives them. */
  database: object | null;
  probePort: number | null;
  log: Log;
  metrics: {
    text(): Promise<string>;
    blockEnded(blockedMs: number): void;
  };
}

export class Lifeline implements BeatsFromOutside {
  readonly #options: LifelineOptions;
  readonly #state = new SharedState();
  readonly #atWork = new Set<AttemptRef>();
  #thread: Worker | null = null;
  #ticking: NodeJS.Timeout | undefined;
  #together: ToThread[] | null = null;

  constructor(options: LifelineOptions) {
    this.#options = options;
  }

  /**
   * Starts the thread, and the probes with it.
   *
   * @throws AsyncJobError `settings.invalid` when the port of the probes cannot be had
   */
  async open(): Promise<void> {
    const { beat, database, probePort, log } = this.#options;
    const workerData: ThreadData = { state: this.#state.buffer, beat, database, log: recipeOf(log) ?? null, probePort };
    const env = process.stdout.isTTY ? { ...process.env, FORCE_COLOR: '1' } : process.env;
    const thread = new Worker(new URL(`./thread.${EXTENSION}`, import.meta.url), {
      name: 'asyncjob-lifeline',
      workerData,
      env,
      execArgv: [],
    });
    this.#thread = thread;
    this.#ticking = setInterval(() => this.#state.tick(inspector.url() !== undefined), TICK_EVERY_MS).unref();
    const [news] = (await once(thread, 'message')) as [FromThread];
    if (news.kind === 'refused') {
      await this.close();
      throw new AsyncJobError(
        'settings.invalid',
        `the probes cannot be served on port ${probePort} (${news.why}). Choose another --probe-port.`,
      );
    }
    thread.on('message', (message: FromThread) => this.#hear(message));
    thread.once('error', (error) => this.#broke(error));
    thread.unref();
    if (database === null)
      log.debug({}, 'the options of the database cannot be given to a thread: no beats while the event loop is blocked');
    if (news.kind === 'up' && news.probePort !== null) {
      log.info({ port: news.probePort }, 'probes: /livez, /readyz, /metrics');
      // Something to show when the loop is blocked before anybody asked.
      await this.#sendMetrics();
    }
  }

  advance(phase: Phase): void {
    this.#state.advance(phase);
  }

  listed(jobId: string): void {
    this.#tell({ kind: 'listed', jobId });
  }

  unlisted(jobId: string): void {
    this.#tell({ kind: 'unlisted', jobId });
  }

  inFlight(): Promise<void> | null {
    return this.#state.beatInFlight();
  }

  claiming(isUnderWay: boolean): void {
    this.#state.isClaiming = isUnderWay;
  }

  together(tell: () => void): void {
    const messages: ToThread[] = (this.#together = []);
    try {
      tell();
    } finally {
      this.#together = null;
    }
    if (messages.length > 0) this.#tell({ kind: 'several', messages });
  }

  renewed(sentAt: bigint): void {
    this.#state.renewed(sentAt);
  }

  /** A handler is at work; returns how to say that it has ended. */
  began(ref: AttemptRef, runTimeoutMs: number | null): () => void {
    this.#atWork.add(ref);
    this.#tell({ kind: 'began', ref, runTimeoutMs });
    return () => {
      this.#atWork.delete(ref);
      this.#tell({ kind: 'ended', ref });
    };
  }

  /** How many handlers are at work. */
  get atWork(): number {
    return this.#atWork.size;
  }

  async close(): Promise<void> {
    clearInterval(this.#ticking);
    const thread = this.#thread;
    this.#thread = null;
    await thread?.terminate();
    this.#state.isBeating = false;
  }

  #tell(message: ToThread): void {
    if (this.#together) this.#together.push(message);
    else this.#thread?.postMessage(message);
  }

  #hear(message: FromThread): void {
    const { log, metrics } = this.#options;
    if (message.kind === 'metricsWanted') void this.#sendMetrics();
    else if (message.kind === 'log') log[message.level](message.fields, message.message);
    else if (message.kind === 'blockEnded') {
      const { blockedMs, by, fields } = message;
      metrics.blockEnded(blockedMs);
      log.warn({ ...fields, blockedMs: Math.round(blockedMs) }, `the event loop was blocked for ${seconds(blockedMs)} ${by}`);
    }
  }

  async #sendMetrics(): Promise<void> {
    this.#tell({ kind: 'metrics', text: await this.#options.metrics.text() });
  }

  #broke(error: Error): void {
    this.#options.log.error(
      { err: error },
      'the thread that watches the event loop broke: no probes, and no beats while the loop is blocked',
    );
    void this.close();
  }
}
