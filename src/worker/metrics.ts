// A worker's metrics for Prometheus. They read what others count; only repairs and blocks are counted here.
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { FactCounts } from '../domain/fact-counts.ts';
import type { Undispatched } from '../relay/relay.ts';

export interface MetricsSources {
  facts: FactCounts;
  attemptsRunning(): number;
  lastSweep(): Undispatched;
}

export class WorkerMetrics {
  readonly #registry = new Registry();
  readonly #repairs: Counter<'repair'>;
  readonly #blockedSeconds: Counter;
  readonly #blocks: Counter;

  constructor({ facts, attemptsRunning, lastSweep }: MetricsSources) {
    const registers = [this.#registry];
    const gauge = (name: string, help: string, read: () => number) =>
      this.#registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          collect() {
            this.set(read());
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
      () => lastSweep().found,
    );
    gauge('asyncjob_undispatched_oldest_seconds', 'Age of the oldest of them; 0 when there is none.', () => lastSweep().oldestMs / 1_000);
    this.#repairs = new Counter({ name: 'asyncjob_repairs_total', help: 'Repairs of rows.', labelNames: ['repair'], registers });
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

  /** Adds those of the process: memory, CPU, garbage collection. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  repaired(kind: string): void {
    this.#repairs.inc({ repair: kind });
  }

  blockEnded(blockedMs: number): void {
    this.#blocks.inc();
    this.#blockedSeconds.inc(blockedMs / 1_000);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
