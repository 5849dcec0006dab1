// A lane: one activity, which runs many rows in the very worker that opened it. It is a lease and no more: when the activity is
// lost, the rows are taken over by what the worker registry says of their holder, and the workflow only ends.
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import { LANE, type LaneInput, type LaneReceipt } from '../src/domain/lane.ts';

export async function laneWorkflow(input: LaneInput): Promise<LaneReceipt> {
  const activities = proxyActivities<{ [LANE](input: LaneInput): Promise<LaneReceipt> }>({
    taskQueue: input.workerTaskQueue,
    // Its worker has died meanwhile, and nobody else polls its queue.
    scheduleToStartTimeout: '30 seconds',
    // A lane ends by itself; its last jobs may take their time.
    startToCloseTimeout: '3650 days',
    heartbeatTimeout: '10 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { maximumAttempts: 1 },
  });
  return activities[LANE](input);
}
