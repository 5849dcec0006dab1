// What a worker costs that has nothing to do.
import { setTimeout as sleep } from 'node:timers/promises';
import { startCounting, total } from '../measure/counters.ts';
import { startMeter } from '../measure/meter.ts';
import { rssMb } from '../measure/process-stats.ts';
import { onStage, type Scenario } from './scenario.ts';

const SECONDS = 20;

export const idle: Scenario = {
  title: 'An idle worker',
  what: `A worker that has had work, and has none for ${SECONDS} s: per minute. Of Temporal it asks nothing but its polls, seven per queue, each of which Temporal answers after a minute.`,
  contestants: ['bare-temporal', 'asyncjob/each', 'asyncjob/activity', 'asyncjob/lane'],
  columns: [
    { key: 'workerMsPerMinute', label: 'worker CPU ms' },
    { key: 'temporalMsPerMinute', label: 'Temporal CPU ms' },
    { key: 'postgresMsPerMinute', label: 'PostgreSQL CPU ms' },
    { key: 'statementsPerMinute', label: 'statements' },
    { key: 'workerMb', label: 'worker MB' },
  ],
  pictures: [],
  measure: (run) =>
    onStage(run, {}, async (stage) => {
      const seconds = run.isQuick ? 2 : SECONDS;
      await sleep(run.isQuick ? 0 : 5_000); // the last lane ends
      const count = await startCounting(stage.counters);
      const countedFrom = performance.now();
      const stopMeter = startMeter(() => stage.roots);
      await sleep(seconds * 1_000);
      const { cpuMsPerJob: cpuMs, foreignCores } = stopMeter(1);
      const { statements } = await count();
      const minutes = (performance.now() - countedFrom) / 60_000;
      return [
        {
          n: 0,
          foreignCores,
          more: {
            workerMsPerMinute: (cpuMs.worker * 60) / seconds,
            temporalMsPerMinute: (cpuMs.temporal * 60) / seconds,
            postgresMsPerMinute: (cpuMs.postgres * 60) / seconds,
            statementsPerMinute: total(statements) / minutes,
            workerMb: rssMb(stage.workers[0]!.pid),
          },
        },
      ];
    }),
};
