// CPU time per job of the four processes that a job costs, and what the rest of the machine did meanwhile.
import { now } from './clock.ts';
import { readCpu } from './process-stats.ts';

export const PARTS = ['producer', 'worker', 'temporal', 'postgres'] as const;
export type Part = (typeof PARTS)[number];
/** Of the peers, some have a Redis. */
export type CpuPerJob = Record<Part | 'all', number> & { redis?: number };

export interface MeterReading {
  cpuMsPerJob: CpuPerJob;
  elapsedMs: number;
  /** What everything else on the machine used, in processors. A figure with much of it says little. */
  foreignCores: number;
}

/** Begins now; the returned function ends it. A process that is started meanwhile counts as a whole. This process, which plays the referee, counts as neither ours nor foreign. */
export function startMeter(roots: () => Record<Part, readonly number[]>): (jobs: number) => MeterReading {
  const before = readCpu(roots());
  const ownBefore = process.cpuUsage();
  const startedAt = now();
  return (jobs) => {
    const after = readCpu(roots());
    const own = process.cpuUsage(ownBefore);
    const elapsedMs = now() - startedAt;
    const used = (part: Part) => after.trees[part] - before.trees[part];
    const all = PARTS.reduce((sum, part) => sum + used(part), 0);
    const foreignMs = after.machineMs - before.machineMs - all - (own.user + own.system) / 1_000;
    const perJob = Object.fromEntries(PARTS.map((part) => [part, used(part) / jobs])) as Record<Part, number>;
    return { cpuMsPerJob: { ...perJob, all: all / jobs }, elapsedMs, foreignCores: Math.max(0, foreignMs / elapsedMs) };
  };
}
