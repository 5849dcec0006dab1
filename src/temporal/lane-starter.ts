// Starts the workflow of a lane.
import { LANE, laneTaskQueueOf, laneWorkflowIdOf, type LaneInput, type LaneRef } from '../domain/lane.ts';
import { taskQueueOf } from '../domain/identity.ts';
import type { TemporalConnection } from './connection.ts';

const DEADLINE_MS = 5_000;

/** @throws AsyncJobError `temporal.unavailable`, `temporal.namespace` */
export async function startLane(connection: TemporalConnection, applicationName: string, lane: LaneRef, number: number): Promise<void> {
  const { jobType, queue, worker } = lane;
  const input: LaneInput = { v: 1, jobType, queue, workerTaskQueue: laneTaskQueueOf(applicationName, worker) };
  await connection.within(DEADLINE_MS, () =>
    connection.client.workflow.start(LANE, {
      workflowId: laneWorkflowIdOf(applicationName, lane, number),
      taskQueue: taskQueueOf(applicationName, queue),
      args: [input],
      ...(applicationName === '' ? {} : { memo: { application: applicationName } }),
    }),
  );
}
