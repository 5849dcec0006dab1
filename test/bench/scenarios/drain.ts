import { now } from '../measure/clock.ts';
import { startMeter } from '../measure/meter.ts';
import { peakRssMb } from '../measure/process-stats.ts';
import { onStage, THROUGHPUT, type Scenario } from './scenario.ts';

export const drain: Scenario = {
  title: 'Draining what waits',
  what: 'So many rows wait, and one worker starts. From the first handler until all rows are SUCCESS.',
  contestants: ['asyncjob/lane'],
  scale: { label: 'waiting rows', values: [1_000, 10_000, 100_000], quick: [1_000], isLogarithmic: true },
  columns: [...THROUGHPUT, { key: 'workerPeakMb', label: 'worker peak MB' }],
  pictures: ['jobsPerS'],
  measure: (run) =>
    onStage(run, { workers: 0 }, async (stage) => {
      const first = stage.take(run.x);
      await stage.producer.call('enqueueMany', first, run.x);
      await stage.settle();
      const stopMeter = startMeter(() => stage.roots);
      await stage.startWorkers(1);
      await stage.allDone();
      const doneAt = now();
      const { cpuMsPerJob, foreignCores } = stopMeter(run.x);
      const workerPeakMb = peakRssMb(stage.workers[0]!.pid); // before it tells its times
      let firstAt = Infinity;
      for (const at of await stage.startTimes(first, run.x)) firstAt = Math.min(firstAt, at);
      const jobsPerS = (run.x / (doneAt - firstAt)) * 1_000;
      return [{ x: run.x, n: run.x, jobsPerS, cpuMsPerJob, foreignCores, more: { workerPeakMb } }];
    }),
};
