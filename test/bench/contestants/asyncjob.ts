// This library, from its built package as an application has it.
import { defineConfig as ormConfig } from '@mikro-orm/postgresql';
import { asyncJob, AsyncJobs, defineConfig, jobs, p } from 'asyncjob';
import { NOTE, type Contestant, type Surroundings } from './contestant.ts';

class BenchJob extends asyncJob('BenchJob', { seq: p.integer(), note: p.text().nullable() }) {}

const createThenEnqueueOne = async (seq: number): Promise<string> => {
  const job = await BenchJob.create({ seq, note: NOTE });
  await job.enqueue();
  return job.id;
};

export const createThenEnqueue: Contestant = contestant(createThenEnqueueOne);
export const asActivity: Contestant = contestant(createThenEnqueueOne, 'activity');

export const enqueueAtOnce: Contestant = contestant(async (seq) => (await BenchJob.enqueue({ seq, note: NOTE })).id);

function contestant(enqueue: (seq: number) => Promise<string>, engine: 'workflow' | 'activity' = 'workflow'): Contestant {
  return {
    async openProducer(surroundings) {
      const app = await connect(surroundings, engine);
      await app.orm.schema.create();
      return { enqueue, [Symbol.asyncDispose]: () => app.close() };
    },

    async startWorker(surroundings, handled) {
      const app = await connect(surroundings, engine);
      BenchJob.handler((_, job) => handled(job.seq));
      const worker = await app.worker({ concurrency: surroundings.concurrency, signals: false });
      const run = worker.run();
      return {
        async [Symbol.asyncDispose]() {
          await worker.shutdown();
          await run;
          await app.close();
        },
      };
    },
  };
}

function connect({ databaseUrl, temporalAddress }: Surroundings, engine: 'workflow' | 'activity'): Promise<AsyncJobs> {
  return AsyncJobs.connect(
    defineConfig({
      name: 'bench',
      engine,
      temporal: { address: temporalAddress },
      orm: ormConfig({ clientUrl: databaseUrl, entities: jobs(BenchJob) }),
    }),
  );
}
