// The main thread's side of the lifeline: tells the thread (thread.ts) that the loop turns, in which phase the worker is
// and which jobs run, and says afterwards what the thread could not say itself.
import inspector from 'node:inspector';
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { recipeOf } from '../../app/log.ts';
import { AsyncJobError } from '../../domain/errors.ts';
import type { AttemptRef, Log } from '../../domain/ports.ts';
import type { BeatSource } from '../../mirror/beat.ts';
import type { BeatsFromOutside } from '../../mirror/worker-registry.ts';
import { seconds } from './describe-block.ts';
import type { FromThread, JobNews, ThreadData, ToThread } from './messages.ts';
import { SharedState, type Phase } from './shared-state.ts';
import type { TransferableOptions } from './transferable-options.ts';

const TICK_EVERY_MS = 100;
/** The thread has little to remember; V8 would let its garbage grow to three times as much. */
const YOUNG_GENERATION_MB = 4;
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

export interface LifelineOptions {
  beat: BeatSource;
  /** For a connection of its own. */
  database: TransferableOptions;
  probePort: number | null;
  log: Log;
  metrics: {
    text(): Promise<string>;
    blockEnded(blockedMs: number): void;
  };
  /** The thread's module. @default beside this one */
  module?: URL;
}

const WITHOUT = 'a handler that blocks the event loop makes this worker look dead, and nobody says who it is';

export class Lifeline implements BeatsFromOutside {
  readonly #options: LifelineOptions;
  readonly #state = new SharedState();
  readonly #atWork = new Set<AttemptRef>();
  #thread: Worker | null = null;
  #news: MessagePort | null = null;
  #ticking: NodeJS.Timeout | undefined;
  #together: JobNews[] | null = null;
  #isUp = false;

  constructor(options: LifelineOptions) {
    this.#options = options;
  }

  /**
   * Starts the thread, and the probes with it. Without probes a thread that cannot start is only warned of: jobs run without it.
   *
   * @throws AsyncJobError `settings.invalid` when there shall be probes, and their port or the thread cannot be had
   */
  async open(): Promise<void> {
    const { probePort, log } = this.#options;
    let news: FromThread;
    try {
      news = await this.#start();
    } catch (error) {
      await this.close();
      const why = (error as Error).message;
      if (probePort === null) return log.warn({ err: error }, `the thread that watches the event loop cannot start (${why}): ${WITHOUT}`);
      throw new AsyncJobError(
        'settings.invalid',
        `the probes cannot be served: the thread that answers them cannot start (${why}). Do not bundle asyncjob/worker into one file, allow worker threads (node --allow-worker), or leave --probe-port away.`,
        { cause: error },
      );
    }
    if (news.kind === 'refused') {
      await this.close();
      throw new AsyncJobError(
        'settings.invalid',
        `the probes cannot be served on port ${probePort} (${news.why}). Choose another --probe-port.`,
      );
    }
    await this.#opened(news);
  }

  /** Resolves with the thread's first word. */
  #start(): Promise<FromThread> {
    const { beat, database, probePort, log, module = new URL(`./thread.${EXTENSION}`, import.meta.url) } = this.#options;
    const { port1, port2 } = new MessageChannel();
    port1.unref();
    this.#news = port1;
    const workerData: ThreadData = {
      news: port2,
      state: this.#state.buffer,
      beat,
      database: database.options,
      log: recipeOf(log) ?? null,
      probePort,
    };
    const env = process.stdout.isTTY ? { ...process.env, FORCE_COLOR: '1' } : process.env;
    return new Promise((resolve, reject) => {
      const thread = new Worker(module, {
        name: 'asyncjob-lifeline',
        workerData,
        transferList: [port2],
        env,
        execArgv: [],
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      });
      this.#thread = thread;
      this.#ticking = setInterval(() => this.#state.tick(inspector.url() !== undefined), TICK_EVERY_MS).unref();
      thread.once('message', resolve);
      // Both stay: before its first word they reject, and later they say that it broke.
      thread.on('error', (error) => (reject(error as Error), this.#broke(thread, error as Error)));
      thread.on('exit', (code) => {
        const error = new Error(`it ended with ${code}`);
        reject(error);
        this.#broke(thread, error);
      });
    });
  }

  async #opened(news: FromThread): Promise<void> {
    const { database, log } = this.#options;
    const thread = this.#thread!;
    this.#isUp = true;
    thread.on('message', (message: FromThread) => this.#hear(message));
    thread.unref();
    if (database.obstacle !== null) {
      log.warn(
        {},
        `no beats while the event loop is blocked, since the database option ${database.obstacle} and cannot be given to another thread: a handler that blocks it for longer than ASYNCJOB_WORKER_TTL makes this worker look dead`,
      );
    }
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
    const news: JobNews[] = (this.#together = []);
    try {
      tell();
    } finally {
      this.#together = null;
    }
    if (news.length > 0) this.#tell({ kind: 'several', news });
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
    this.#news?.close();
    this.#news = null;
    await thread?.terminate();
    this.#state.isBeating = false;
  }

  #tell(news: JobNews): void {
    if (this.#together) this.#together.push(news);
    else this.#news?.postMessage(news);
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
    try {
      const message: ToThread = { kind: 'metrics', text: await this.#options.metrics.text() };
      this.#thread?.postMessage(message);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the metrics could not be read: /metrics shows the last known values');
    }
  }

  /** The worker goes on. Whoever asks the probes sees that nobody answers. */
  #broke(thread: Worker, error: Error): void {
    if (!this.#isUp || this.#thread !== thread) return;
    this.#options.log.warn({ err: error }, `the thread that watches the event loop broke: no probes any more, and ${WITHOUT}`);
    void this.close();
  }
}
