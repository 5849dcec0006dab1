// Enqueueing and processing at the same time, as fast as both go.
import { now } from '../measure/clock.ts';
import { startMeter } from '../measure/meter.ts';
import { peakRssMb } from '../measure/process-stats.ts';
import { percentile } from '../measure/spread.ts';
import type { Point } from '../result.ts';
import type { Stage } from '../stage.ts';
import { CALLERS } from './scenario.ts';

export async function throughput(stage: Stage, jobs: number): Promise<Point> {
  const first = stage.take(jobs);
  const stopMeter = startMeter(() => stage.roots);
  const { firstCallAt, lastReturnAt } = await stage.producer.call('enqueueOneByOne', first, jobs, CALLERS);
  await stage.allDone();
  const doneAt = now();
  const { cpuMsPerJob, foreignCores } = stopMeter(jobs);
  const workerPeakMb = Math.max(...stage.workers.map(({ pid }) => peakRssMb(pid))); // before they tell their times
  const [calls, starts] = await Promise.all([stage.producer.call('callTimes', first, jobs), stage.startTimes(first, jobs)]);
  const waits = starts.map((start, i) => start - calls[i]!);
  return {
    n: jobs,
    jobsPerS: (jobs / (doneAt - firstCallAt)) * 1_000,
    cpuMsPerJob,
    p50Ms: percentile(waits, 50),
    p99Ms: percentile(waits, 99),
    foreignCores,
    more: {
      enqueuePerS: (jobs / (lastReturnAt - firstCallAt)) * 1_000,
      workerPeakMb,
    },
  };
}
