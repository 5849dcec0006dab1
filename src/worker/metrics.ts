// A worker's metrics for Prometheus. They read what others count; only repairs and blocks are counted here. The block that
// goes on now is known to the lifeline's thread alone, which adds it.
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { FactCounts } from '../domain/fact-counts.ts';
import type { RepairKind } from '../relay/plan-repairs.ts';
import type { Undispatched } from '../relay/relay.ts';
import { attemptHistograms } from './attempt-histograms.ts';

export interface MetricsSources {
  facts: FactCounts;
  attemptsRunning(): number;
  /** `null`: it failed, and nobody knows. */
  lastSweep(): Undispatched | null;
}

/** All of them begin at 0: `rate()` sees the first one. */
const REPAIRS = {
  dispatch: 0,
  revoke: 0,
  fail: 0,
  next_run: 0,
  cancel: 0,
  terminate: 0,
  report: 0,
} satisfies Record<RepairKind, number>;

/** Memory, CPU, garbage collection: collected once, however many workers come and go in a process. */
let processRegistry: Registry | undefined;

function collectProcess(): Registry {
  if (processRegistry === undefined) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

export class WorkerMetrics {
  readonly #registry = new Registry();
  readonly #repairs: Counter<'repair'>;
  readonly #blockedSeconds: Counter;
  readonly #blocks: Counter;
  #ofProcess: Registry | null = null;

  constructor({ facts, attemptsRunning, lastSweep }: MetricsSources) {
    const registers = [this.#registry];
    const gauge = (name: string, help: string, read: () => number | null) =>
      this.#registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          collect() {
            const value = read();
            // No sample is better than an old one.
            if (value === null) this.remove();
            else this.set(value);
          },
        }),
      );
    const factCounter = new Counter({
      name: 'asyncjob_facts_total',
      help: 'Facts that were written to rows, by what became of them: applied, duplicate (known already), stale (the row had moved on).',
      labelNames: ['fact', 'result'],
      registers: [],
      collect() {
        this.reset();
        for (const { fact, result, count } of facts.all()) this.inc({ fact, result }, count);
      },
    });
    this.#registry.registerMetric(factCounter);
    gauge('asyncjob_attempts_running', 'Handlers that are at work in this process.', attemptsRunning);
    gauge(
      'asyncjob_undispatched_jobs',
      "Committed jobs without a workflow that this worker's last sweep found; at most a batch, and not those of other workers' sweeps.",
      () => lastSweep()?.found ?? null,
    );
    gauge('asyncjob_undispatched_oldest_seconds', 'Age of the oldest of them; 0 when there is none.', () => {
      const sweep = lastSweep();
      return sweep && sweep.oldestMs / 1_000;
    });
    for (const histogram of attemptHistograms(facts.attempts)) this.#registry.registerMetric(histogram);
    this.#repairs = new Counter({ name: 'asyncjob_repairs_total', help: 'Repairs of rows.', labelNames: ['repair'], registers });
    for (const repair of Object.keys(REPAIRS)) this.#repairs.inc({ repair }, 0);
    this.#blockedSeconds = new Counter({
      name: 'asyncjob_event_loop_blocked_seconds_total',
      help: 'Time for which the event loop was blocked for longer than a second.',
      registers,
    });
    this.#blocks = new Counter({
      name: 'asyncjob_event_loop_blocks_total',
      help: 'How often it was blocked for longer than a second.',
      registers,
    });
  }

  /** Adds those of the process. */
  collectProcess(): void {
    this.#ofProcess = collectProcess();
  }

  repaired(kind: string): void {
    this.#repairs.inc({ repair: kind });
  }

  blockEnded(blockedMs: number): void {
    this.#blocks.inc();
    this.#blockedSeconds.inc(blockedMs / 1_000);
  }

  async text(): Promise<string> {
    const registries = this.#ofProcess === null ? [this.#registry] : [this.#registry, this.#ofProcess];
    return (await Promise.all(registries.map((registry) => registry.metrics()))).join('\n');
  }
}
