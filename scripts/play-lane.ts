// Plays the workflow of a lane, which ends as its scenario says.
import { createLaneActivities } from '../activities/index.ts';
import { laneTaskQueueOf, laneWorkflowIdOf, type LaneEnd } from '../src/domain/lane.ts';
import { startLane } from '../src/temporal/lane-starter.ts';
import type { Scenario } from './history-scenarios.ts';
import { JOB_TYPE, startWorker, type Theatre } from './play-scenario.ts';

/** Runs a lane to its end; returns its workflow id. */
export async function playLane({ name, closes, lane: why = 'empty' }: Scenario, { connection, queue }: Theatre): Promise<string> {
  const lane = { jobType: JOB_TYPE, queue, worker: 'recorder' };
  const workflowId = laneWorkflowIdOf('', lane, 1);
  const handle = connection.client.workflow.getHandle(workflowId);
  const activities = createLaneActivities({
    async serve(_input, { onStop }) {
      if (why === 'empty') return { jobs: 3, why };
      const stopped = new Promise<LaneEnd>((resolve) => onStop(resolve));
      await handle.cancel();
      return { jobs: 3, why: await stopped };
    },
  });
  await startLane(connection, '', lane, 1);
  const worker = await startWorker(
    { connection, queue },
    {
      runAttempt: () => Promise.reject(new Error('a lane has no attempts')),
      finalize: async () => undefined,
      lanes: { taskQueue: laneTaskQueueOf('', lane.worker), activities, activitiesMax: 1 },
    },
  );
  const running = worker.run();
  try {
    await handle.result();
    const { status } = await handle.describe();
    if (status.name !== closes) throw new Error(`${name} closed as ${status.name}, not ${closes}`);
  } finally {
    worker.shutdown();
    await running;
  }
  return workflowId;
}
