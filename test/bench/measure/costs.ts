// What a job costs in counts, whatever the machine: of jobs one after another, each of them alone, and of many that were
// enqueued together.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../stage.ts';
import { averageExecutionBytes, startCounting, total, type Counts } from './counters.ts';

export interface Costs {
  /** Statements of the application, BEGIN and COMMIT included. */
  statements: number;
  /** Calls to Temporal that are no polls. */
  rpcs: number;
  /** What Temporal keeps of it. */
  temporalBytes: number;
  /** What Temporal Cloud bills. */
  actions: number;
  temporalStoreCalls: number;
  polls: number;
  /** For people who look for what has grown. */
  statementsByText: Record<string, number>;
  rpcsByName: Record<string, number>;
}

const ONE_BY_ONE_JOBS = 20;
const TOGETHER_JOBS = 1_000;
/** What comes now and then is less than one for every second job. */
const SHARE_MIN = 0.5;
/** What a worker sends by the clock is counted for so long, and taken off. */
const IDLE_MS = 3_000;

/** Nothing that happens at the same time can share a statement, so that the counts are the most that a job costs. */
export async function costsOneByOne(stage: Stage): Promise<Costs> {
  const count = await startCountingJobs(stage);
  for (let i = 0; i < ONE_BY_ONE_JOBS; i++) {
    await stage.producer.call('enqueueOneByOne', stage.take(1), 1, 1);
    await stage.allDone();
  }
  return toCosts(stage, await count(), ONE_BY_ONE_JOBS, SHARE_MIN);
}

/** Of jobs that share a workflow. */
export async function costsTogether(stage: Stage): Promise<Costs> {
  const count = await startCountingJobs(stage);
  await stage.producer.call('enqueueMany', stage.take(TOGETHER_JOBS), TOGETHER_JOBS);
  await stage.allDone();
  return toCosts(stage, await count(), TOGETHER_JOBS, 0);
}

/** Statements are those that a worker without jobs would not have sent. */
async function startCountingJobs(stage: Stage): Promise<() => Promise<Counts>> {
  const idleSince = performance.now();
  const countIdle = await startCounting(stage.counters);
  await sleep(IDLE_MS);
  const idle = await countIdle();
  const idleMs = performance.now() - idleSince;
  const since = performance.now();
  const count = await startCounting(stage.counters);
  return async () => {
    const counts = await count();
    const share = (performance.now() - since) / idleMs;
    const statements = new Map(
      [...counts.statements].map(([text, n]) => [text, Math.max(0, n - (idle.statements.get(text) ?? 0) * share)]),
    );
    return { ...counts, statements };
  };
}

async function toCosts(stage: Stage, counts: Counts, jobs: number, shareMin: number): Promise<Costs> {
  const perJob = (kind: keyof Counts) =>
    new Map([...counts[kind]].map(([name, count]) => [name, count / jobs] as const).filter(([, count]) => count >= shareMin));
  const statements = perJob('statements');
  const rpcs = perJob('rpcs');
  const calls = new Map([...rpcs].filter(([name]) => !name.startsWith('Poll')));
  const { perJob: kind = 'workflow' } = stage.entry;
  const bytes = await averageExecutionBytes(stage.client, kind ?? 'workflow');
  return {
    statements: total(statements),
    rpcs: total(calls),
    temporalBytes: kind === null ? bytes / jobs : bytes,
    actions: total(perJob('actions')),
    temporalStoreCalls: total(perJob('storeCalls')),
    polls: total(rpcs) - total(calls),
    statementsByText: Object.fromEntries([...statements].map(([text, share]) => [abridged(text), share])),
    rpcsByName: Object.fromEntries(calls),
  };
}

function abridged(statement: string): string {
  return statement.replaceAll(/\s+/g, ' ').slice(0, 100);
}
