// This library, from its built package as an application has it.
import { defineConfig as ormConfig } from '@mikro-orm/postgresql';
import { asyncJob, AsyncJobs, defineConfig, jobs, p, type JobClass } from 'asyncjob';
import { NOTE, type Contestant, type Surroundings } from './contestant.ts';

class BenchJob extends asyncJob('BenchJob', { seq: p.integer(), note: p.text().nullable() }) {}

export const createThenEnqueue: Contestant = contestant(BenchJob, async (seq) => {
  const job = await BenchJob.create({ seq, note: NOTE });
  await job.enqueue();
  return job.id;
});

export const enqueueAtOnce: Contestant = contestant(BenchJob, async (seq) => (await BenchJob.enqueue({ seq, note: NOTE })).id);

export function contestant(jobClass: JobClass<BenchJob>, enqueue: (seq: number) => Promise<string>): Contestant {
  return {
    async openProducer(surroundings) {
      const app = await connect(jobClass, surroundings);
      await app.orm.schema.create();
      return { enqueue, [Symbol.asyncDispose]: () => app.close() };
    },

    async startWorker(surroundings, handled) {
      const app = await connect(jobClass, surroundings);
      app.handle(jobClass, (_, job) => handled(job.seq));
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

function connect(jobClass: JobClass, { databaseUrl, temporalAddress }: Surroundings): Promise<AsyncJobs> {
  return AsyncJobs.connect(
    defineConfig({
      name: 'bench',
      temporal: { address: temporalAddress },
      orm: ormConfig({ clientUrl: databaseUrl, entities: jobs(jobClass) }),
    }),
  );
}
