import { MODES } from '../contestants/index.ts';
import { onStage, THROUGHPUT, type Scenario } from './scenario.ts';
import { throughput } from './throughput.ts';

export const payload: Scenario = {
  title: 'By payload',
  what: 'Jobs at once whose row has a text column of so many bytes, which do not compress. The handler has the whole row.',
  contestants: MODES,
  scale: { label: 'bytes in a column', values: [1_000, 1_000_000], quick: [100_000], isLogarithmic: true },
  columns: [...THROUGHPUT, { key: 'workerPeakMb', label: 'worker peak MB' }],
  pictures: ['jobsPerS'],
  measure: (run) =>
    onStage(run, { noteBytes: run.x }, async (stage) => {
      const jobs = Math.min(run.jobs(0.4), run.x >= 1_000_000 ? 200 : 2_000);
      return [await throughput(stage, jobs)];
    }),
};
