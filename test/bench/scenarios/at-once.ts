// Enqueueing and processing at the same time, as fast as both go: throughput and CPU per job.
import { now } from '../measure/clock.ts';
import { startMeter } from '../measure/meter.ts';
import { peakRssMb } from '../measure/process-stats.ts';
import type { Figures } from '../result.ts';
import type { Stage } from '../stage.ts';

/** Enqueue calls that are under way at the same time. */
export const CALLERS = 50;

export async function atOnce(stage: Stage, jobs: number): Promise<Figures> {
  const first = stage.take(jobs);
  const stopMeter = startMeter(stage.roots);
  const { firstCallAt, lastReturnAt } = await stage.producer.call('enqueueMany', first, jobs, CALLERS);
  await stage.allDone();
  const doneAt = now();
  return {
    n: jobs,
    jobsPerS: (jobs / (doneAt - firstCallAt)) * 1_000,
    enqueuePerS: (jobs / (lastReturnAt - firstCallAt)) * 1_000,
    ...stopMeter(jobs),
    workerRssMb: peakRssMb(stage.worker.pid),
    p50Ms: null,
    p99Ms: null,
    latency: null,
  };
}
