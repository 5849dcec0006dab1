// The table of a job class keeps its settled rows. Nothing that a job costs may depend on how many there are.
import { settledRows } from '../measure/settled-rows.ts';
import { onStage, THROUGHPUT, type Scenario } from './scenario.ts';
import { throughput } from './throughput.ts';

export const tableSize: Scenario = {
  title: 'By table size',
  what: 'Jobs at once beside so many settled rows in the same table.',
  contestants: ['asyncjob/each', 'asyncjob/lane'],
  scale: { label: 'settled rows', values: [1_000, 1_000_000, 10_000_000], quick: [1_000], isLogarithmic: true },
  columns: THROUGHPUT,
  pictures: ['jobsPerS', 'cpuMsPerJob.postgres'],
  measure: async (run) => {
    const template = await settledRows(run.servers, run.x);
    return onStage(run, { template }, async (stage) => [await throughput(stage, run.jobs(0.6))]);
  },
};
