import { rssMb } from '../measure/process-stats.ts';
import { onStage, type Scenario } from './scenario.ts';
import { throughput } from './throughput.ts';

export const queues: Scenario = {
  title: 'By queues in one worker process',
  what: 'Jobs at once, spread over the queues; then the memory of the worker process.',
  contestants: ['asyncjob/each', 'asyncjob/lane'],
  scale: { label: 'queues', values: [1, 10, 50], quick: [1, 10], isLogarithmic: false },
  columns: [
    { key: 'workerMb', label: 'worker MB' },
    { key: 'jobsPerS', label: 'jobs/s' },
    { key: 'cpuMsPerJob.all', label: 'CPU ms per job' },
    { key: 'cpuMsPerJob.worker', label: 'worker' },
  ],
  pictures: ['workerMb'],
  measure: (run) =>
    onStage(run, { queues: run.x }, async (stage) => {
      const point = await throughput(stage, run.jobs(0.3));
      return [{ ...point, more: { ...point.more, workerMb: rssMb(stage.workers[0]!.pid) } }];
    }),
};
