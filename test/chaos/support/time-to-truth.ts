// How long rows were wrong after an incident, until the first move that made them right again. Pure.
import { isSettled } from '../../../src/domain/lifecycle.ts';
import type { Move } from './audit.ts';
import { pidOf, type Effect, type History } from './check-history.ts';
import type { Outage } from './incidents.ts';

export interface TimeToTruth {
  /** How many incidents of this kind there were. */
  incidents: number;
  /** How many rows they left wrong. */
  rows: number;
  /** Milliseconds; `null` when no row was concerned. */
  median: number | null;
  worst: number | null;
}

export type IncidentKind = 'worker died' | 'worker hung' | 'PostgreSQL restarted' | 'Temporal restarted' | 'Temporal lost everything';

type Events = Pick<History, 'moves' | 'effects' | 'deaths' | 'freezes' | 'outages' | 'workerTtlMs'>;

/**
 * Wrong are: rows STARTED by a process that died, or hung for longer than it counts as alive, until others take them;
 * rows whose handler ended while PostgreSQL was away, from its return until they say so; rows that were enqueued while
 * Temporal was away, from its return until their dispatch; and open rows whose execution is lost, until their next run.
 */
export function timesToTruth(events: Events): Record<IncidentKind, TimeToTruth> {
  const jobs = [...Map.groupBy(events.moves, ({ jobId }) => jobId).values()];
  const outages = (server: Outage['server'], lost: boolean) =>
    events.outages.filter((outage) => outage.server === server && outage.lost === lost);
  const hung = events.freezes.filter(({ from, to }) => to - from > events.workerTtlMs);
  return {
    'worker died': summary(events.deaths.map(({ pid, at }) => afterWorker(jobs, pid, at))),
    'worker hung': summary(hung.map(({ pid, from }) => afterWorker(jobs, pid, from))),
    'PostgreSQL restarted': summary(outages('postgres', false).map((outage) => afterPostgres(jobs, events.effects, outage))),
    'Temporal restarted': summary(outages('temporal', false).map((outage) => afterTemporal(jobs, outage))),
    'Temporal lost everything': summary(outages('temporal', true).map((outage) => afterLoss(jobs, outage))),
  };
}

function afterWorker(jobs: Move[][], pid: number, at: number): number[] {
  return jobs.flatMap((moves) => {
    const i = moves.findLastIndex((move) => move.at <= at);
    const last = moves[i];
    const next = moves[i + 1];
    return last?.to === 'STARTED' && pidOf(last) === pid && next ? [next.at - at] : [];
  });
}

function afterPostgres(jobs: Move[][], effects: readonly Effect[], { from, to }: Outage): number[] {
  const ended = new Set(
    effects.filter(({ what, at }) => what !== 'began' && what !== 'page' && at >= from && at <= to).map(({ jobId }) => jobId),
  );
  return jobs.flatMap((moves) => {
    const next = ended.has(moves[0]!.jobId) ? moves.find(({ at }) => at > to) : undefined;
    return next ? [next.at - to] : [];
  });
}

function afterTemporal(jobs: Move[][], { from, to }: Outage): number[] {
  return jobs.flatMap((moves) => {
    const i = moves.findLastIndex(({ at }) => at <= to);
    const last = moves[i];
    const next = moves[i + 1];
    return last?.to === 'PENDING' && last.runId === null && last.at >= from && next ? [next.at - to] : [];
  });
}

function afterLoss(jobs: Move[][], { from, to }: Outage): number[] {
  return jobs.flatMap((moves) => {
    const i = moves.findLastIndex(({ at }) => at <= from);
    const last = moves[i];
    if (!last || isSettled(last.to) || last.runId === null) return [];
    // Rows that their living handlers settle were never wrong.
    const next = moves.slice(i + 1).find(({ run, at }) => run > last.run && at > to);
    return next ? [next.at - to] : [];
  });
}

function summary(times: number[][]): TimeToTruth {
  const all = times.flat().sort((a, b) => a - b);
  return {
    incidents: times.length,
    rows: all.length,
    median: all.length === 0 ? null : Math.round(all[Math.floor(all.length / 2)]!),
    worst: all.length === 0 ? null : Math.round(all.at(-1)!),
  };
}
