// The jobs of a soak: of all kinds, enqueued over time in every way, some of them revoked or retried.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AsyncJob } from 'asyncjob';
import { KINDS, type Kinds } from '../fixtures/app/jobs.ts';
import type { Stage } from './stage.ts';

export interface LoadOptions {
  /** Each job is of one of these. */
  kinds: readonly Kinds[];
  random: () => number;
  jobsPerSecond: number;
  lengthMs: number;
}

export interface Load {
  /** Ids of the jobs whose commit was acknowledged. */
  acknowledged: string[];
  /** Calls that were refused because a server was away. */
  refused: number;
}

const TICK_MS = 250;
const POISONS = Object.values(KINDS).map(({ Poison }) => Poison);

type Enqueue = (kinds: Kinds, random: () => number) => Promise<AsyncJob[]>;

/** Kinds of jobs, and how many of a thousand there are. */
const MIX: [number, Enqueue][] = [
  [380, async ({ Quick }) => [await Quick.enqueue({})]],
  [60, async ({ Quick }) => Quick.find({ id: { $in: await Quick.enqueueMany([{}, {}, {}, {}, {}]) } })],
  [40, async ({ Quick }, random) => [await Quick.enqueue({}, { delay: Math.round(random() * 10_000) })]],
  [220, async ({ Slow }, random) => [await Slow.enqueue({ steps: 5 + Math.round(random() * 25) })]],
  [120, async ({ Flaky }, random) => [await Flaky.enqueue({ times: Math.floor(random() * 5) })]],
  [120, async ({ Pages }) => [await Pages.enqueue({})]],
  [30, async ({ Hopeless }) => [await Hopeless.enqueue({})]],
  [6, async ({ Fragile }) => [await Fragile.enqueue({})]],
  [3, async ({ Poison }) => [await Poison.enqueue({})]],
  [3, async ({ Blocker }) => [await Blocker.enqueue({ blockMs: 4_000 })]],
];

/** Enqueues for `lengthMs`, whatever the servers do meanwhile. */
export async function putLoad(stage: Stage, { kinds, random, jobsPerSecond, lengthMs }: LoadOptions): Promise<Load> {
  const load: Load = { acknowledged: [], refused: 0 };
  const recent: AsyncJob[] = [];
  const calls = new Set<Promise<void>>();
  const attempt = (call: () => Promise<void>) => {
    const running: Promise<void> = call()
      .catch(() => void load.refused++)
      .finally(() => calls.delete(running));
    calls.add(running);
  };
  const deadline = Date.now() + lengthMs;
  let owed = 0;
  while (Date.now() < deadline) {
    // A server that does not answer holds up whoever calls it; a web process would not pile up calls for ever either.
    for (owed += (jobsPerSecond * TICK_MS) / 1_000; owed >= 1; owed--) {
      const enqueue = choose(random());
      const some = kinds[Math.floor(random() * kinds.length)]!;
      if (calls.size > 100) continue;
      attempt(async () => {
        const jobs = await enqueue(some, random);
        load.acknowledged.push(...jobs.map(({ id }) => id));
        recent.push(...jobs);
      });
    }
    const job = recent[Math.floor(random() * recent.length)];
    const dice = random();
    if (job && dice < 0.2) {
      const terminate = random() < 0.3;
      attempt(async () => void (await stage.asksToRevoke(job).revoke({ terminate })));
    } else if (job && dice < 0.4) {
      attempt(() => retryUnlessPoison(job));
    }
    recent.splice(0, recent.length - 100);
    await sleep(TICK_MS);
  }
  await Promise.all(calls);
  return load;
}

async function retryUnlessPoison(job: AsyncJob): Promise<void> {
  await job.refresh();
  if (!POISONS.some((poison) => job instanceof poison) && (job.status === 'FAILURE' || job.status === 'REVOKED')) await job.retry();
}

function choose(random: number): Enqueue {
  let left = random * MIX.reduce((sum, [share]) => sum + share, 0);
  return MIX.find(([share]) => (left -= share) < 0)![1];
}
