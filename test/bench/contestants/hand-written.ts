// What a team writes that wants to see its jobs in its database: an entity, and status changes by flush. No guards, no
// outbox: a crash between two of its steps leaves a row that says something wrong.
import { defineEntity, p } from '@mikro-orm/core';
import { MikroORM } from '@mikro-orm/postgresql';
import { Client, Connection } from '@temporalio/client';
import { NOTE, TABLE, TASK_QUEUE, type Contestant } from './contestant.ts';
import { startSdkWorker } from './sdk-worker.ts';

const JobSchema = defineEntity({
  name: 'HandWrittenJob',
  tableName: TABLE,
  properties: {
    id: p
      .uuid()
      .primary()
      .onCreate(() => crypto.randomUUID()),
    seq: p.integer(),
    note: p.text().nullable(),
    status: p.enum(['PENDING', 'STARTED', 'SUCCESS', 'FAILURE']).default('PENDING').index(),
    error: p.text().nullable(),
    createdAt: p.datetime().onCreate(() => new Date()),
    startedAt: p.datetime().nullable(),
    endedAt: p.datetime().nullable(),
  },
});
class HandWrittenJob extends JobSchema.class {}
JobSchema.setClass(HandWrittenJob);

export interface HandWrittenActivities {
  handWrittenJob(id: string): Promise<void>;
}

export const handWritten: Contestant = {
  async openProducer({ databaseUrl, temporalAddress }) {
    const orm = await openOrm(databaseUrl);
    await orm.schema.create();
    const connection = await Connection.connect({ address: temporalAddress });
    const client = new Client({ connection });
    return {
      async enqueue(seq) {
        const em = orm.em.fork();
        const job = em.create(HandWrittenJob, { seq, note: NOTE });
        await em.flush();
        await client.workflow.start('handWrittenWorkflow', { workflowId: `job-${job.id}`, taskQueue: TASK_QUEUE, args: [job.id] });
        return job.id;
      },
      async [Symbol.asyncDispose]() {
        await connection.close();
        await orm.close();
      },
    };
  },

  async startWorker(surroundings, handled) {
    const orm = await openOrm(surroundings.databaseUrl);
    const activities: HandWrittenActivities = {
      async handWrittenJob(id) {
        const em = orm.em.fork();
        const job = await em.findOneOrFail(HandWrittenJob, id);
        job.status = 'STARTED';
        job.startedAt = new Date();
        await em.flush();
        try {
          handled(job.seq);
          job.status = 'SUCCESS';
        } catch (error) {
          job.status = 'FAILURE';
          job.error = String(error);
          throw error;
        } finally {
          job.endedAt = new Date();
          await em.flush();
        }
      },
    };
    const worker = await startSdkWorker(surroundings, activities);
    return {
      async [Symbol.asyncDispose]() {
        await worker[Symbol.asyncDispose]();
        await orm.close();
      },
    };
  },
};

function openOrm(clientUrl: string): Promise<MikroORM> {
  return MikroORM.init({ clientUrl, entities: [HandWrittenJob] });
}
