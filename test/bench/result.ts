// The outcome of one scenario of one contestant in one round: a line of `--json`, and of the files in docs/benchmarks.
import type { CpuPerJob } from './measure/meter.ts';
import type { Costs } from './measure/costs.ts';

/** What a scenario measured at one place of its scale. */
export interface Point {
  /** Where on the scale; absent without one. */
  x?: number;
  /** Jobs. */
  n: number;
  /** From the first enqueue call until all rows are SUCCESS and all workflows completed. */
  jobsPerS?: number;
  cpuMsPerJob?: CpuPerJob;
  /** From the enqueue call until the handler starts. */
  p50Ms?: number;
  p99Ms?: number;
  /** What everything else on the machine used meanwhile, in processors. A figure with much of it says little. */
  foreignCores?: number;
  /** Counts per job, of jobs that come one by one and of many together. */
  costs?: { oneByOne: Costs; together?: Costs };
  /** Figures of this scenario alone. */
  more?: Record<string, number>;
}

export interface Result extends Point {
  scenario: string;
  contestant: string;
  round: number;
}

/** Always the same first fields, `null` for what the scenario does not measure. */
export function toJsonLine({ scenario, contestant, round, n, jobsPerS, cpuMsPerJob, p50Ms, p99Ms, ...others }: Result): string {
  const first = { scenario, contestant, round, n, jobsPerS: jobsPerS ?? null, cpuMsPerJob: cpuMsPerJob ?? null };
  return JSON.stringify({ ...first, p50Ms: p50Ms ?? null, p99Ms: p99Ms ?? null, ...others }, (_, value: unknown) =>
    typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value,
  );
}

export function fromJsonLine(line: string): Result {
  return JSON.parse(line, (_, value: unknown) => value ?? undefined) as Result;
}

/** `jobsPerS`, `cpuMsPerJob.all`, `costs.oneByOne.statements`, or the name of one of `more`. */
export function figureOf(result: Result, key: string): number | undefined {
  const found = key.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], result);
  return (found as number | undefined) ?? result.more?.[key];
}
