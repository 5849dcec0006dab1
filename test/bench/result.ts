// The outcome of one scenario of one contestant in one round.
import type { ContestantName } from './contestants/index.ts';
import type { CountsPerJob } from './measure/counters.ts';
import type { MeterReading } from './measure/meter.ts';

export const SCENARIOS = ['at-once', 'idle-latency'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface Latency {
  p50Ms: number;
  p99Ms: number;
}

export interface Figures extends MeterReading {
  /** Jobs. */
  n: number;
  /** From the first enqueue call until all rows are SUCCESS and all workflows completed. */
  jobsPerS: number;
  enqueuePerS: number | null;
  /** The most that the worker process had since its start. */
  workerRssMb: number;
  /** From the enqueue call until the job's end can be seen; only where jobs do not queue. */
  p50Ms: number | null;
  p99Ms: number | null;
  /** From the enqueue call until it returns, until the handler starts, until the end can be seen. */
  latency: Record<'enqueued' | 'started' | 'seen', Latency> | null;
}

export interface Result extends Figures {
  scenario: Scenario;
  contestant: ContestantName;
  round: number;
  perJob: CountsPerJob;
}

/** One line of `--json`. */
export function toJsonLine({ scenario, contestant, round, n, ...figures }: Result): string {
  return JSON.stringify({ scenario, contestant, round, n, ...figures }, (_, value: unknown) =>
    typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value,
  );
}
