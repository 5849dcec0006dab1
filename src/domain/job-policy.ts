// What a job class says about how its jobs run, resolved to numbers: the form in which everything inside reads it.
import type { RetryPolicy } from './retry-policy.ts';

/** A job class's options with every default filled in; durations are milliseconds, `null` means no limit. */
export interface JobPolicy {
  retry: RetryPolicy;
  /** Time for one attempt. */
  runTimeoutMs: number | null;
  /** Time for all attempts of a run, from its first attempt's scheduling. */
  totalTimeoutMs: number | null;
  /** A worker silent for so long is taken for dead: the longest Temporal outage that a running attempt survives. */
  heartbeatTimeoutMs: number;
  /** How many crashes of a worker at this job are forgiven. */
  crashRetries: number;
  /** 1 (first) to 5 (last). */
  priority: number | null;
  /** What becomes of a run that Temporal does not know any more, although it may have begun. */
  whenLost: WhenLost;
  engine: TemporalEngine;
  /** Many jobs share a workflow; `null`: each has its own. */
  lane: LanePolicy | null;
}

/** How jobs of a class run in lanes. */
export interface LanePolicy {
  /** Jobs of the class at the same time, in each worker. */
  concurrency: number;
  /** How long a lane waits for further jobs before it ends. */
  lingerMs: number;
}

/** How Temporal executes jobs: a workflow around each attempt, or the activity alone. */
export const TEMPORAL_ENGINES = ['workflow', 'activity'] as const;
export type TemporalEngine = (typeof TEMPORAL_ENGINES)[number];

export const WHEN_LOST = ['rerun', 'report'] as const;
export type WhenLost = (typeof WHEN_LOST)[number];

export const DEFAULT_POLICY: JobPolicy = {
  retry: {
    maximumAttempts: 1,
    initialIntervalMs: 1_000,
    backoffCoefficient: 2,
    maximumIntervalMs: 15 * 60_000,
    jitter: 0.1,
    nonRetryable: [],
  },
  runTimeoutMs: null,
  totalTimeoutMs: null,
  heartbeatTimeoutMs: 30_000,
  crashRetries: 3,
  priority: null,
  whenLost: 'rerun',
  engine: 'workflow',
  lane: null,
};

export const DEFAULT_LANE: LanePolicy = { concurrency: 50, lingerMs: 1_000 };

/** Of a lane's job that was given none; Temporal's own for jobs with a workflow of their own. */
export const LANE_PRIORITY = 3;
