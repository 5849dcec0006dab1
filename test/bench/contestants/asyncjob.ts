// This library, from its built package as an application has it, in each of its ways through Temporal.
import { randomBytes } from 'node:crypto';
import { defineConfig as ormConfig } from '@mikro-orm/postgresql';
import { asyncJob, AsyncJobs, defineConfig, jobs, p, type JobOptions } from 'asyncjob';
import { NOTE, type Contestant, type Surroundings } from './contestant.ts';
import { reportProgress } from './report-progress.ts';

class BenchJob extends asyncJob('BenchJob', { seq: p.integer(), note: p.text().nullable() }) {}
type Data = { seq: number; note: string };
type Enqueue = (data: Data, queue: { queue: string }) => Promise<{ id: string }>;

const atOnce: Enqueue = (data, queue) => BenchJob.enqueue(data, queue);

export const createdBefore: Contestant = contestant(
  () => ({}),
  async (data, queue) => (await BenchJob.create(data)).enqueue(queue),
);
export const asWorkflows: Contestant = contestant(() => ({}));
export const asActivities: Contestant = contestant(() => ({ engine: 'activity' }));
export const inLanes: Contestant = contestant(({ concurrency }) => ({ lane: { concurrency } }));

function contestant(options: (surroundings: Surroundings) => JobOptions, enqueue = atOnce): Contestant {
  return {
    async openProducer(surroundings) {
      BenchJob.options = options(surroundings);
      const app = await connect(surroundings);
      await app.orm.schema.update();
      const queues = queuesOf(surroundings);
      const note = surroundings.noteBytes === 0 ? NOTE : incompressible(surroundings.noteBytes);
      const queueOf = (seq: number) => ({ queue: queues[seq % queues.length]! });
      return {
        enqueue: async (seq) => (await enqueue({ seq, note }, queueOf(seq))).id,
        async enqueueMany(first, count) {
          const rows = function* () {
            for (let seq = first; seq < first + count; seq++) yield { seq, note };
          };
          await BenchJob.enqueueMany(rows(), queueOf(0));
        },
        [Symbol.asyncDispose]: () => app.close(),
      };
    },

    async startWorker(surroundings, handled) {
      BenchJob.options = options(surroundings);
      const { concurrency, progress } = surroundings;
      const app = await connect(surroundings);
      app.handle(BenchJob, (task, job) => {
        handled(job.seq);
        return progress === null ? undefined : reportProgress(task, progress);
      });
      const worker = await app.worker({ queues: queuesOf(surroundings), concurrency, signals: false });
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

function connect({ databaseUrl, temporalAddress }: Surroundings): Promise<AsyncJobs> {
  return AsyncJobs.connect(
    defineConfig({
      name: 'bench',
      temporal: { address: temporalAddress },
      orm: ormConfig({ clientUrl: databaseUrl, entities: jobs(BenchJob) }),
    }),
  );
}

function queuesOf({ queues }: Surroundings): string[] {
  return queues === 1 ? [BenchJob.defaultQueue] : Array.from({ length: queues }, (_, i) => `queue-${i + 1}`);
}

/** PostgreSQL compresses what is long. */
function incompressible(bytes: number): string {
  return randomBytes(bytes).toString('base64').slice(0, bytes);
}
