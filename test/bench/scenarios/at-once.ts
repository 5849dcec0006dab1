// The comparison: throughput and CPU per job under full load; and, before, what a job costs in counts.
import { costsOneByOne, costsTogether } from '../measure/costs.ts';
import { onStage, THROUGHPUT, type Scenario } from './scenario.ts';
import { throughput } from './throughput.ts';

export const atOnce: Scenario = {
  title: 'At once',
  what:
    '50 enqueue calls are always under way while the worker runs. Counts per job are of jobs that come one by one, so that ' +
    'they can share nothing.',
  contestants: ['bare-temporal', 'hand-written', 'asyncjob/each', 'asyncjob/activity', 'asyncjob/lane'],
  rounds: 3,
  columns: [
    THROUGHPUT[0]!,
    { key: 'p50Ms', label: 'until it starts, p50 ms' },
    { key: 'p99Ms', label: 'p99 ms' },
    THROUGHPUT[1]!,
    { key: 'cpuMsPerJob.producer', label: 'producer' },
    ...THROUGHPUT.slice(2),
    { key: 'workerPeakMb', label: 'worker peak MB' },
    { key: 'costs.oneByOne.statements', label: 'statements' },
    { key: 'costs.oneByOne.rpcs', label: 'calls to Temporal' },
    { key: 'costs.oneByOne.actions', label: 'actions' },
    { key: 'costs.oneByOne.temporalBytes', label: 'bytes in Temporal' },
    { key: 'costs.oneByOne.temporalStoreCalls', label: "calls of Temporal's store" },
  ],
  pictures: [],
  measure: (run) =>
    onStage(run, {}, async (stage) => {
      const sharesWorkflows = stage.entry.perJob === null;
      const oneByOne = await costsOneByOne(stage);
      const costs = sharesWorkflows ? { oneByOne, together: await costsTogether(stage) } : { oneByOne };
      return [{ ...(await throughput(stage, run.jobs())), costs }];
    }),
};
