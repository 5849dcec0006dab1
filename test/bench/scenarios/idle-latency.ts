// A job now and then on a system that has nothing else to do: how long until its handler starts, and until its end can be
// seen. For a row that is the moment of its commit (a trigger notifies the bench), without a row the workflow's result.
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { TABLE } from '../contestants/contestant.ts';
import { now } from '../measure/clock.ts';
import { startMeter } from '../measure/meter.ts';
import { percentile } from '../measure/spread.ts';
import type { Point } from '../result.ts';
import type { Stage } from '../stage.ts';
import { onStage, type Scenario } from './scenario.ts';

const JOBS_PER_S = 5;
const JOBS = 40;

interface Observer extends AsyncDisposable {
  /** Resolves with the time at which the end of the job could be seen. */
  seen(id: string): Promise<number>;
}

export const idleLatency: Scenario = {
  title: 'Now and then',
  what: `${JOBS_PER_S} jobs per second on a system that has nothing else to do: milliseconds after the enqueue call.`,
  contestants: ['bare-temporal', 'hand-written', 'asyncjob/each', 'asyncjob/activity', 'asyncjob/lane'],
  rounds: 3,
  columns: [
    { key: 'returnsP50Ms', label: 'it returns, p50' },
    { key: 'returnsP99Ms', label: 'p99' },
    { key: 'p50Ms', label: 'handler starts, p50' },
    { key: 'p99Ms', label: 'p99' },
    { key: 'seenP50Ms', label: 'end is seen, p50' },
    { key: 'seenP99Ms', label: 'p99' },
    { key: 'cpuMsPerJob.all', label: 'CPU ms per job' },
  ],
  pictures: [],
  measure: (run) => onStage(run, {}, async (stage) => [await nowAndThen(stage, run.isQuick ? 4 : JOBS)]),
};

async function nowAndThen(stage: Stage, jobs: number): Promise<Point> {
  await using observer = await observe(stage);
  const first = stage.take(jobs);
  const stopMeter = startMeter(() => stage.roots);
  const startedAt = now();
  const observed = Array.from({ length: jobs }, async (_, i) => {
    await sleep(Math.max(0, startedAt + (i * 1_000) / JOBS_PER_S - now()));
    const { id, calledAt, returnedAt } = await stage.producer.call('enqueueOne', first + i);
    return { calledAt, returnedAt, seenAt: await observer.seen(id) };
  });
  const times = await Promise.all(observed);
  await stage.allDone();
  const elapsedMs = now() - startedAt;
  const starts = await stage.startTimes(first, jobs);
  const { cpuMsPerJob, foreignCores } = stopMeter(jobs);
  const waits = times.map(({ calledAt }, i) => starts[i]! - calledAt);
  const returns = times.map(({ calledAt, returnedAt }) => returnedAt - calledAt);
  const seen = times.map(({ calledAt, seenAt }) => seenAt - calledAt);
  return {
    n: jobs,
    jobsPerS: (jobs / elapsedMs) * 1_000,
    cpuMsPerJob,
    p50Ms: percentile(waits, 50),
    p99Ms: percentile(waits, 99),
    foreignCores,
    more: {
      returnsP50Ms: percentile(returns, 50),
      returnsP99Ms: percentile(returns, 99),
      seenP50Ms: percentile(seen, 50),
      seenP99Ms: percentile(seen, 99),
    },
  };
}

async function observe(stage: Stage): Promise<Observer> {
  return stage.entry.hasRow ? observeRows(stage) : observeWorkflows(stage);
}

async function observeRows({ db }: Stage): Promise<Observer> {
  const client = await db.connect();
  const seenAt = new Map<string, PromiseWithResolvers<number>>();
  const of = (id: string) => {
    if (!seenAt.has(id)) seenAt.set(id, Promise.withResolvers<number>());
    return seenAt.get(id)!;
  };
  client.on('notification', ({ payload }: pg.Notification) => of(payload!).resolve(now()));
  await client.query(`create function bench_seen() returns trigger language plpgsql as
    $$ begin perform pg_notify('bench_seen', new.id::text); return null; end $$`);
  await client.query(`create trigger bench_seen after update of status on ${TABLE}
    for each row when (new.status = 'SUCCESS') execute function bench_seen()`);
  await client.query('listen bench_seen');
  return {
    seen: (id) => of(id).promise,
    async [Symbol.asyncDispose]() {
      await client.query('unlisten bench_seen');
      await client.query(`drop function bench_seen cascade`);
      client.release();
    },
  };
}

function observeWorkflows({ client }: Stage): Observer {
  return {
    async seen(workflowId) {
      await client.workflow.getHandle(workflowId).result();
      return now();
    },
    async [Symbol.asyncDispose]() {},
  };
}
