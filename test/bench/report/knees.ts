// Where a curve of jobs/s stops to rise, and what takes the processors there.
import { PARTS } from '../measure/meter.ts';
import { spreadOf } from '../measure/spread.ts';
import type { Result } from '../result.ts';
import { figure } from './markdown.ts';

/** A curve is flat from where it has so much of its most. */
const MOST = 0.9;

/** A line for each contestant; `null` where there is no curve of jobs/s. */
export function kneesOf(results: readonly Result[], processors: number): string | null {
  const lines = [...Map.groupBy(results, ({ contestant }) => contestant)].flatMap(([name, of]) => kneeOf(name, of, processors));
  return lines.length === 0 ? null : lines.join('\n');
}

function kneeOf(name: string, results: readonly Result[], processors: number): string[] {
  const points = [...Map.groupBy(results, ({ x }) => x)].map(([x, of]) => ({ x, jobsPerS: median(of, ({ jobsPerS }) => jobsPerS), of }));
  if (points.length < 2 || points.some(({ x, jobsPerS }) => x === undefined || jobsPerS === 0)) return [];
  const most = points.reduce((best, point) => (point.jobsPerS > best.jobsPerS ? point : best));
  const knee = points.find(({ jobsPerS }) => jobsPerS >= MOST * most.jobsPerS)!;
  const busy = (part: (typeof PARTS)[number] | 'all') =>
    (median(knee.of, ({ cpuMsPerJob }) => cpuMsPerJob?.[part]) * knee.jobsPerS) / 1_000;
  const parts = PARTS.map((part) => ({ part, cores: busy(part) })).toSorted((a, b) => b.cores - a.cores);
  const shares = parts.map(({ part, cores }) => `${part} ${figure(cores)}`).join(', ');
  const bound = busy('all') === 0 ? '' : `; there ${figure(busy('all'))} of ${processors} processors are at work: ${shares}`;
  return [
    `- \`${name}\`: at most ${figure(most.jobsPerS)} jobs/s (at ${inWords(most.x!)}), ${MOST * 100} % of it from ${inWords(knee.x!)} on${bound}.`,
  ];
}

function median(results: readonly Result[], value: (result: Result) => number | undefined): number {
  return spreadOf(results.map((result) => value(result) ?? 0)).median;
}

function inWords(x: number): string {
  return x.toLocaleString('en-US');
}
