// A soak: jobs of all kinds over time while workers and servers die, then quiet, then the checker.
import { setTimeout as sleep } from 'node:timers/promises';
import { CHAOS_ENGINES, KINDS, type ChaosEngine } from '../fixtures/app/jobs.ts';
import type { Status } from '../../../src/domain/lifecycle.ts';
import { explain, type History, type Violation } from './check-history.ts';
import { putLoad } from './load.ts';
import { raceRevocations, type RaceOutcome } from './races.ts';
import { seededRandom } from './random.ts';
import { Stage } from './stage.ts';
import { timesToTruth, type IncidentKind, type TimeToTruth } from './time-to-truth.ts';
import { makeTrouble, planTrouble, type TroubleKind } from './trouble.ts';

export interface SoakOptions {
  seed: number;
  lengthMs: number;
  jobsPerSecond: number;
  workers: number;
  /** Who executes the jobs; with several each job has one of them. @default all */
  engines?: readonly ChaosEngine[];
  /** One outage of PostgreSQL that lasts so long. @default none */
  longOutageMs?: number;
  /** Kinds of trouble to leave out. @default none */
  without?: readonly TroubleKind[];
  /** Races of revocations afterwards. @default 0 */
  races?: number;
  /** How long it may take until all jobs are settled, once nobody disturbs them. */
  quietWithinMs: number;
  log?: (line: string) => void;
}

export interface SoakReport {
  seed: number;
  jobs: Record<string, Partial<Record<Status, number>>>;
  total: number;
  troubles: Partial<Record<TroubleKind, number>>;
  /** Calls of the application that failed because a server was away. */
  refused: number;
  /** Jobs that are not settled, and jobs whose commit was acknowledged and that have no row. */
  lost: number;
  duplicates: number;
  violations: Violation[];
  timeToTruth: Record<IncidentKind, TimeToTruth>;
  /** From the last trouble until all jobs were settled. */
  quietMs: number | null;
  races: RaceOutcome | null;
  /** The histories of the jobs that broke a rule, for people. */
  explanation: string;
}

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const {
    seed,
    lengthMs,
    jobsPerSecond,
    workers,
    engines = CHAOS_ENGINES,
    longOutageMs = 0,
    without = [],
    races = 0,
    quietWithinMs,
    log = () => {},
  } = options;
  const plan = planTrouble(seededRandom(seed), { lengthMs, longOutageMs, without });
  const kinds = engines.map((engine) => KINDS[engine]);
  await using stage = await Stage.open();
  await stage.workersOf(workers);
  const replacing = new AbortController();
  const replacements = replaceWorkers(stage, workers, replacing.signal);
  const [load] = await Promise.all([
    putLoad(stage, { kinds, random: seededRandom(seed + 1), jobsPerSecond, lengthMs }),
    makeTrouble(stage, plan, log),
  ]);
  log('quiet');
  const quietAt = Date.now();
  const isQuiet = await stage.quiet({ timeoutMs: quietWithinMs }).then(
    () => true,
    () => false,
  );
  const quietMs = isQuiet ? Date.now() - quietAt : null;
  const { violations, duplicates, history } = await stage.check();
  let raced: RaceOutcome | null = null;
  if (races > 0) {
    log(`${races} races`);
    raced = await raceRevocations(stage, { kinds, races, random: seededRandom(seed + 2) });
    violations.push(...(await stage.check()).violations, ...raced.brokenPromises.map(brokenPromise));
  }
  replacing.abort();
  await replacements;
  return {
    seed,
    jobs: countByType(history),
    total: history.rows.length,
    troubles: Object.fromEntries([...Map.groupBy(plan, ({ kind }) => kind)].map(([kind, { length }]) => [kind, length])),
    refused: load.refused,
    ...withVanished(load.acknowledged, history, violations),
    duplicates,
    timeToTruth: timesToTruth(history),
    quietMs,
    races: raced,
    explanation: explain(violations, await stage.history()),
  };
}

/** Whoever dies or has drained is followed by another one, as under a supervisor. */
async function replaceWorkers(stage: Stage, count: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const worker of stage.workers) if (worker.hasEnded) stage.workers.delete(worker);
    while (stage.workers.size < count) stage.startWorker();
    await sleep(200);
  }
}

function withVanished(acknowledged: string[], { rows }: History, violations: Violation[]): { lost: number; violations: Violation[] } {
  const known = new Set(rows.map(({ id }) => id));
  const vanished = acknowledged.filter((id) => !known.has(id));
  const all = [
    ...violations,
    ...vanished.map((jobId) => ({ rule: 'what was committed has a row', jobType: '?', jobId, what: 'it has none' })),
  ];
  return { lost: vanished.length + violations.filter(({ rule }) => rule === 'no job is lost').length, violations: all };
}

function brokenPromise(jobId: string): Violation {
  return { rule: 'REVOKED is a promise', jobType: '?', jobId, what: 'it was answered, and the job is something else' };
}

function countByType({ rows }: History): SoakReport['jobs'] {
  const byType = Map.groupBy(rows, ({ jobType }) => jobType);
  return Object.fromEntries(
    [...byType].map(([jobType, ofType]) => [
      jobType,
      Object.fromEntries([...Map.groupBy(ofType, ({ status }) => status)].map(([status, { length }]) => [status, length])),
    ]),
  );
}
