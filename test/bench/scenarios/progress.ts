// One job that says how far it is, more often than anybody can look.
import { startCounting, total } from '../measure/counters.ts';
import { startMeter } from '../measure/meter.ts';
import { onStage, type Scenario } from './scenario.ts';

const SECONDS = 5;

export const progress: Scenario = {
  title: 'By calls of task.progress() per second',
  what: `One job that calls \`task.progress()\` so often for ${SECONDS} s. What by the clock goes on beside it is counted, too.`,
  contestants: ['asyncjob/each', 'asyncjob/lane'],
  scale: { label: 'calls per second', values: [1, 100, 10_000], quick: [100], isLogarithmic: true },
  columns: [
    { key: 'updatesPerS', label: 'updates/s' },
    { key: 'heartbeatsPerS', label: 'heartbeats/s' },
    { key: 'workerCores', label: 'worker, processors' },
    { key: 'postgresCores', label: 'PostgreSQL, processors' },
  ],
  pictures: ['updatesPerS', 'workerCores'],
  measure: (run) => {
    const seconds = run.isQuick ? 2 : SECONDS;
    return onStage(run, { workers: 0, progress: { callsPerS: run.x, seconds } }, async (stage) => {
      await stage.startWorkers(1);
      const count = await startCounting(stage.counters);
      const stopMeter = startMeter(() => stage.roots);
      await stage.producer.call('enqueueOne', stage.take(1));
      await stage.allDone();
      const { cpuMsPerJob, foreignCores } = stopMeter(1);
      const { statements, rpcs } = await count();
      const updates = new Map([...statements].filter(([text]) => /^update|^with/i.test(text)));
      return [
        {
          x: run.x,
          n: 1,
          cpuMsPerJob,
          foreignCores,
          more: {
            updatesPerS: total(updates) / seconds,
            heartbeatsPerS: ((rpcs.get('RecordActivityTaskHeartbeat') ?? 0) + (rpcs.get('RecordActivityTaskHeartbeatById') ?? 0)) / seconds,
            workerCores: cpuMsPerJob.worker / seconds / 1_000,
            postgresCores: cpuMsPerJob.postgres / seconds / 1_000,
          },
        },
      ];
    });
  },
};
