// Revocations against starts and ends: many jobs, each revoked at a moment of its own, on both sides of the moment that
// decides.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AsyncJob } from 'asyncjob';
import { isSettled, type Status } from '../../../src/domain/lifecycle.ts';
import { until } from '../../support/until.ts';
import type { Kinds } from '../fixtures/app/jobs.ts';
import { PATIENCE_MS } from './patience.ts';
import type { Stage } from './stage.ts';

export interface RaceOutcome {
  races: number;
  revoked: number;
  succeeded: number;
  /** Revocations that were answered with REVOKED, of jobs that are something else now. */
  brokenPromises: string[];
}

const AT_ONCE = 20;

export interface RaceOptions {
  /** Each job is of one of these. */
  kinds: readonly Kinds[];
  races: number;
  /** Decides when each revocation comes. */
  random: () => number;
}

/** The outcome is complete when all jobs are settled. */
export async function raceRevocations(stage: Stage, { kinds, races, random }: RaceOptions): Promise<RaceOutcome> {
  const promised: string[] = [];
  const ids: string[] = [];
  let windowMs = 100;
  const racer = async () => {
    while (ids.length < races) {
      // Every other one is at work for a moment, so that revocations meet ends as well as starts.
      const place = ids.push('') - 1;
      const isQuick = place % 2 === 0;
      const { Quick, Slow } = kinds[Math.floor(place / 2) % kinds.length]!;
      const job = isQuick ? await Quick.enqueue({}) : await Slow.enqueue({ steps: 1, stepMs: Math.round(random() * 60) });
      ids[place] = job.id;
      stage.asksToRevoke<AsyncJob>(job);
      await sleep(random() * windowMs);
      const status = await job.revoke();
      if (status === 'REVOKED') promised.push(job.id);
      // However fast the machine is: about as many revocations come too early as too late.
      windowMs = Math.min(5_000, Math.max(20, windowMs * (status === 'REVOKED' ? 1.05 : 0.95)));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, racer));
  const statuses = await allSettled(stage, ids);
  const count = (wanted: string) => [...statuses.values()].filter((status) => status === wanted).length;
  return {
    races: ids.length,
    revoked: count('REVOKED'),
    succeeded: count('SUCCESS'),
    brokenPromises: promised.filter((id) => statuses.get(id) !== 'REVOKED'),
  };
}

async function allSettled(stage: Stage, ids: string[]): Promise<Map<string, Status>> {
  const look = async () => {
    const statuses = await stage.statusesOf(ids);
    return [...statuses.values()].every(isSettled) ? statuses : null;
  };
  return until(look, { what: 'all races are decided', timeoutMs: 2 * PATIENCE_MS, intervalMs: 200 });
}
