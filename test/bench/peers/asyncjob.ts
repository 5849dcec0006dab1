// This library as an adapter of the peers' benchmark (its README, "Adding a peer").
import { setTimeout as sleep } from 'node:timers/promises';
import { defineConfig as ormConfig } from '@mikro-orm/postgresql';
import { asyncJob, AsyncJobs, defineConfig, jobs, p, type JobOptions } from 'asyncjob';

interface Job {
  id: number;
  ms: number;
}

interface Env {
  pgUrl: string;
  temporal: { address: string };
  concurrency: number;
  profile: JobOptions;
}

class BenchJob extends asyncJob('BenchJob', { payload: p.json<Job>() }) {}

const OPEN = { status: { $ne: 'SUCCESS' as const } };

export default {
  name: 'asyncjob',
  services: ['postgres', 'temporal'],
  bulk: true,
  ownRows: true,
  profiles: {
    each: {},
    activity: { engine: 'activity' },
    lane: { lane: { concurrency: 50 } },
  } satisfies Record<string, JobOptions>,

  async setup(env: Env) {
    await using app = await connect(env);
    await app.orm.schema.create();
    await untilTemporalAnswers(app);
  },

  async openProducer(env: Env) {
    const app = await connect(env);
    return {
      enqueue: (payload: Job) => BenchJob.enqueue({ payload }),
      enqueueBulk: (payloads: Job[]) => BenchJob.enqueueMany(payloads.map((payload) => ({ payload }))),
      waitResult: (job: BenchJob) => job.wait(),
      async unfinished(total: number) {
        const open = await BenchJob.count(OPEN);
        if (open > 0 || env.profile.lane) return open;
        await sleep(20); // the server limits such queries
        const executions = env.profile.engine === 'activity' ? app.temporal.activity : app.temporal.workflow;
        return total - (await executions.count(`ExecutionStatus = 'Completed'`)).count;
      },
      close: () => app.close(),
    };
  },

  async startWorker(env: Env, handler: (payload: Job) => Promise<object>) {
    const app = await connect(env);
    app.handle(BenchJob, (_, job) => handler(job.payload));
    const worker = await app.worker({ concurrency: env.concurrency, signals: false });
    const run = worker.run();
    return {
      async stop() {
        await worker.shutdown();
        await run;
        await app.close();
      },
    };
  },
};

function connect({ pgUrl, temporal, profile }: Env): Promise<AsyncJobs> {
  BenchJob.options = profile;
  const orm = ormConfig({ clientUrl: pgUrl, entities: jobs(BenchJob) });
  return AsyncJobs.connect(defineConfig({ name: 'bench', temporal, orm }));
}

async function untilTemporalAnswers(app: AsyncJobs): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await app.temporal.workflowService.describeNamespace({ namespace: 'default' });
      return;
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(50);
    }
  }
}
