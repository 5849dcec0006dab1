import { startMeter } from '../measure/meter.ts';
import { peakRssMb, rssMb } from '../measure/process-stats.ts';
import { onStage, type Scenario } from './scenario.ts';

export const enqueueMany: Scenario = {
  title: 'enqueueMany',
  what: 'One call for so many rows, from a generator, with no worker. A fresh producer each time.',
  contestants: ['asyncjob/lane'],
  scale: { label: 'rows', values: [1_000, 10_000, 100_000], quick: [1_000], isLogarithmic: true },
  columns: [
    { key: 'rowsPerS', label: 'rows/s' },
    { key: 'cpuMsPerJob.producer', label: 'producer CPU ms per row' },
    { key: 'cpuMsPerJob.postgres', label: 'PostgreSQL CPU ms per row' },
    { key: 'producerMb', label: 'producer MB before' },
    { key: 'producerPeakMb', label: 'peak MB' },
  ],
  pictures: ['rowsPerS', 'producerPeakMb'],
  measure: (run) =>
    onStage(run, { workers: 0 }, async (stage) => {
      // The first call is slower than all others.
      await stage.producer.call('enqueueMany', stage.take(100), 100);
      const producerMb = rssMb(stage.producer.pid);
      const stopMeter = startMeter(() => stage.roots);
      const { calledAt, returnedAt } = await stage.producer.call('enqueueMany', stage.take(run.x), run.x);
      const { cpuMsPerJob, foreignCores } = stopMeter(run.x);
      const rowsPerS = (run.x / (returnedAt - calledAt)) * 1_000;
      const more = { rowsPerS, producerMb, producerPeakMb: peakRssMb(stage.producer.pid) };
      return [{ x: run.x, n: run.x, cpuMsPerJob, foreignCores, more }];
    }),
};
