// Whether a process that has run very many jobs has grown.
import { now } from '../measure/clock.ts';
import { rssMb } from '../measure/process-stats.ts';
import type { Point } from '../result.ts';
import { onStage, type Scenario } from './scenario.ts';

const STEPS = 10;

export const memory: Scenario = {
  title: 'Memory over many jobs',
  what: 'One producer and one worker process, and ever more jobs: their memory after each tenth of them.',
  contestants: ['asyncjob/lane'],
  scale: { label: 'jobs so far', values: [200_000], quick: [2_000], isLogarithmic: false },
  columns: [
    { key: 'workerMb', label: 'worker MB' },
    { key: 'producerMb', label: 'producer MB' },
    { key: 'jobsPerS', label: 'jobs/s' },
  ],
  pictures: ['workerMb'],
  measure: (run) =>
    onStage(run, {}, async (stage) => {
      const points: Point[] = [];
      const jobs = run.x / STEPS;
      for (let step = 1; step <= STEPS; step++) {
        const startedAt = now();
        await stage.producer.call('enqueueMany', stage.take(jobs), jobs);
        await stage.allDone();
        const more = { workerMb: rssMb(stage.workers[0]!.pid), producerMb: rssMb(stage.producer.pid) };
        points.push({ x: step * jobs, n: jobs, jobsPerS: (jobs / (now() - startedAt)) * 1_000, more });
      }
      return points;
    }),
};
