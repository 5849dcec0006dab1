// A job now and then on a system that has nothing else to do: how long until its handler starts, and until its end can be
// seen. For a row that is the moment of its commit (a trigger notifies the bench), without a row the workflow's result.
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { TABLE } from '../contestants/contestant.ts';
import { now } from '../measure/clock.ts';
import { startMeter } from '../measure/meter.ts';
import { peakRssMb } from '../measure/process-stats.ts';
import { percentile } from '../measure/spread.ts';
import type { Figures, Latency } from '../result.ts';
import type { Stage } from '../stage.ts';

export const JOBS_PER_S = 5;

interface Observer extends AsyncDisposable {
  /** Resolves with the time at which the end of the job could be seen. */
  seen(id: string): Promise<number>;
}

export async function idleLatency(stage: Stage, jobs: number): Promise<Figures> {
  await using observer = stage.hasRow ? await observeRows(stage) : observeWorkflows(stage);
  const first = stage.take(jobs);
  const stopMeter = startMeter(stage.roots);
  const startedAt = now();
  const observed = Array.from({ length: jobs }, async (_, i) => {
    await sleep(Math.max(0, startedAt + (i * 1_000) / JOBS_PER_S - now()));
    const { id, calledAt, returnedAt } = await stage.producer.call('enqueueOne', first + i);
    return { calledAt, returnedAt, seenAt: await observer.seen(id) };
  });
  const times = await Promise.all(observed);
  await stage.allDone();
  const elapsedMs = now() - startedAt;
  const handlerStarts = await stage.worker.call('startTimes', first, jobs);
  const seen = latencyOf(times.map(({ calledAt, seenAt }) => seenAt - calledAt));
  return {
    n: jobs,
    jobsPerS: (jobs / elapsedMs) * 1_000,
    enqueuePerS: null,
    ...stopMeter(jobs),
    workerRssMb: peakRssMb(stage.worker.pid),
    ...seen,
    latency: {
      enqueued: latencyOf(times.map(({ calledAt, returnedAt }) => returnedAt - calledAt)),
      started: latencyOf(times.map(({ calledAt }, i) => handlerStarts[i]! - calledAt)),
      seen,
    },
  };
}

function latencyOf(values: readonly number[]): Latency {
  return { p50Ms: percentile(values, 50), p99Ms: percentile(values, 99) };
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
