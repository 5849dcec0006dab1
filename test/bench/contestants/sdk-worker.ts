// A worker on Temporal's SDK with the settings that asyncjob's workers have (src/worker/temporal-worker.ts and
// temporal-runtime.ts), so that a difference between contestants is none of settings. Its workflows run in the SDK's
// sandbox, as everybody's do who writes them; asyncjob's own workflow runs without.
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { TASK_QUEUE, type Surroundings } from './contestant.ts';

export async function startSdkWorker(
  { temporalAddress, concurrency, workflowBundle }: Surroundings,
  activities: object,
): Promise<AsyncDisposable> {
  Runtime.install({
    logger: new DefaultLogger('WARN'),
    shutdownSignals: [],
    workerHeartbeatInterval: '30 seconds',
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
  });
  const connection = await NativeConnection.connect({ address: temporalAddress });
  const worker = await Worker.create({
    connection,
    taskQueue: TASK_QUEUE,
    workflowBundle: { codePath: workflowBundle },
    activities,
    maxConcurrentActivityTaskExecutions: concurrency,
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: concurrency > 1 ? 2 : 1 },
    workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 5 },
    maxCachedWorkflows: 200,
    stickyQueueScheduleToStartTimeout: '1 second',
    maxHeartbeatThrottleInterval: '2 seconds',
    defaultHeartbeatThrottleInterval: '2 seconds',
  });
  const run = worker.run();
  return {
    async [Symbol.asyncDispose]() {
      worker.shutdown();
      await run;
      await connection.close();
    },
  };
}
