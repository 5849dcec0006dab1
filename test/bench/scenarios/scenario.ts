// What a scenario is: something that is measured of each contestant, at one or more places of a scale.
import type { ContestantName } from '../contestants/index.ts';
import type { Point } from '../result.ts';
import type { Servers } from '../servers.ts';
import { Stage, type StageOptions } from '../stage.ts';

/** A figure of the scenario's results, as a column of its table. */
export interface Column {
  /** See `figureOf`. */
  key: string;
  label: string;
}

export interface Scenario {
  title: string;
  /** What is done, for the page. */
  what: string;
  /** Without `--contestants`. */
  contestants: readonly ContestantName[];
  /** How often without `--rounds`. @default 1 */
  rounds?: number;
  /** What is varied; absent: nothing. */
  scale?: { label: string; values: readonly number[]; quick: readonly number[]; isLogarithmic: boolean };
  columns: readonly Column[];
  /** Those of the columns that get a picture. */
  pictures: readonly string[];
  measure(run: Run): Promise<Point[]>;
}

/** One measurement. */
export interface Run {
  servers: Servers;
  contestant: ContestantName;
  /** Place on the scale; `0` without one. */
  x: number;
  isQuick: boolean;
  /** Jobs for a run at once, of which a scenario may take a share. */
  jobs(share?: number): number;
  /** Of processes whose number is not what is varied. */
  concurrency: number;
  cpuProfiles: string | undefined;
}

/** Enqueue calls that are under way at the same time. */
export const CALLERS = 50;
const WARM_UP_JOBS = 100;

export const THROUGHPUT: readonly Column[] = [
  { key: 'jobsPerS', label: 'jobs/s' },
  { key: 'cpuMsPerJob.all', label: 'CPU ms per job' },
  { key: 'cpuMsPerJob.worker', label: 'worker' },
  { key: 'cpuMsPerJob.temporal', label: 'Temporal' },
  { key: 'cpuMsPerJob.postgres', label: 'PostgreSQL' },
];

/** On a stage that is warm. */
export async function onStage<T>(run: Run, options: Partial<StageOptions>, play: (stage: Stage) => Promise<T>): Promise<T> {
  const { servers, contestant, concurrency, cpuProfiles } = run;
  await using stage = await Stage.open(servers, { contestant, concurrency, cpuProfiles, ...options });
  const jobs = Math.min(WARM_UP_JOBS, run.jobs(0.1));
  if (stage.workers.length > 0) {
    await stage.producer.call('enqueueOneByOne', stage.take(jobs), jobs, CALLERS);
    await stage.allDone();
  }
  await stage.settle();
  return await play(stage);
}
