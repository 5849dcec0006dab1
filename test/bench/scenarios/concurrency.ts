import { MODES } from '../contestants/index.ts';
import { onStage, THROUGHPUT, type Scenario } from './scenario.ts';
import { throughput } from './throughput.ts';

export const concurrency: Scenario = {
  title: 'By concurrency',
  what: 'Jobs at once in one worker that runs so many of them at the same time; 50 enqueue calls under way.',
  contestants: MODES,
  scale: { label: 'concurrency of the worker', values: [1, 10, 50, 100, 200], quick: [1, 50], isLogarithmic: true },
  columns: THROUGHPUT,
  pictures: ['jobsPerS', 'cpuMsPerJob.all'],
  measure: (run) =>
    onStage(run, { concurrency: run.x }, async (stage) => {
      const share = run.x < 10 ? 0.2 : 0.5;
      return [await throughput(stage, run.jobs(share))];
    }),
};
