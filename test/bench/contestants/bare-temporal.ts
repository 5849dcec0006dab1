// The floor: Temporal alone, without any row.
import { Client, Connection } from '@temporalio/client';
import { TASK_QUEUE, type Contestant } from './contestant.ts';
import { startSdkWorker } from './sdk-worker.ts';

export interface BareActivities {
  bareJob(seq: number): Promise<void>;
}

export const bareTemporal: Contestant = {
  async openProducer({ temporalAddress }) {
    const connection = await Connection.connect({ address: temporalAddress });
    const client = new Client({ connection });
    return {
      async enqueue(seq) {
        const workflowId = crypto.randomUUID();
        await client.workflow.start('bareWorkflow', { workflowId, taskQueue: TASK_QUEUE, args: [seq] });
        return workflowId;
      },
      [Symbol.asyncDispose]: () => connection.close(),
    };
  },

  startWorker(surroundings, handled) {
    const activities: BareActivities = {
      async bareJob(seq) {
        handled(seq);
      },
    };
    return startSdkWorker(surroundings, activities);
  },
};
