// How long attempts waited and ran, as histograms: one set per application, which all workers of a process show.
import { Histogram } from 'prom-client';
import type { AttemptEnd } from '../domain/attempt.ts';
import type { AttemptTimes } from '../domain/attempt-times.ts';

/** From a lookup to an import of a night. */
const BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400];

/** Label values are in snake_case. */
const OUTCOMES: Partial<Record<AttemptEnd['kind'], string>> = { handedBack: 'handed_back' };

export type AttemptHistograms = readonly [ran: Histogram<'job_type' | 'queue' | 'outcome'>, waited: Histogram<'job_type' | 'queue'>];

const made = new WeakMap<AttemptTimes, AttemptHistograms>();

export function attemptHistograms(times: AttemptTimes): AttemptHistograms {
  const known = made.get(times);
  if (known) return known;
  const common = { buckets: BUCKETS, registers: [] };
  const ran = new Histogram({
    ...common,
    name: 'asyncjob_attempt_seconds',
    help: 'How long handlers ran, by how their attempt ended.',
    labelNames: ['job_type', 'queue', 'outcome'],
  });
  const waited = new Histogram({
    ...common,
    name: 'asyncjob_wait_seconds',
    help: 'From enqueue() or runAt to the start, of attempts that follow no failure and no crash.',
    labelNames: ['job_type', 'queue'],
  });
  times.tell({
    ran: ({ jobType, queue, outcome }, ms) => ran.observe({ job_type: jobType, queue, outcome: OUTCOMES[outcome] ?? outcome }, ms / 1_000),
    waited: ({ jobType, queue }, ms) => waited.observe({ job_type: jobType, queue }, ms / 1_000),
  });
  made.set(times, [ran, waited]);
  return [ran, waited];
}
