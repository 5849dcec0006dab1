import { MODES } from '../contestants/index.ts';
import { onStage, THROUGHPUT, type Scenario } from './scenario.ts';
import { throughput } from './throughput.ts';

export const workers: Scenario = {
  title: 'By worker processes',
  what: 'Jobs at once, with so many worker processes on the same machine as everything else.',
  contestants: MODES,
  scale: { label: 'worker processes', values: [1, 2, 4], quick: [2], isLogarithmic: false },
  columns: THROUGHPUT,
  pictures: ['jobsPerS'],
  measure: (run) => onStage(run, { workers: run.x }, async (stage) => [await throughput(stage, run.jobs(0.5))]),
};
