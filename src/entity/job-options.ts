// How the jobs of a class run, as people write it, and its resolution to the numbers that everything inside reads.
import {
  DEFAULT_LANE,
  DEFAULT_POLICY,
  TEMPORAL_ENGINES,
  WHEN_LOST,
  type JobPolicy,
  type LanePolicy,
  type TemporalEngine,
  type WhenLost,
} from '../domain/job-policy.ts';
import { unknownName } from './closest-name.ts';
import { problemOfDuration, toMilliseconds, type Duration } from './duration.ts';
import { invalidSettings, isObject, shown } from './invalid-settings.ts';

/** Whether and when a failed attempt is followed by another. */
export interface RetryOptions {
  /**
   * Attempts that the handler may use up by failing. Crashes, shutdowns and outages do not count.
   *
   * `1` means no second attempt, `Infinity` no limit.
   *
   * @default 1
   */
  maximumAttempts?: number;
  /**
   * The wait after the first failure.
   *
   * @default '1s'
   */
  initialInterval?: Duration;
  /**
   * By how much the wait grows with each failure; `1` keeps it as it is.
   *
   * @default 2
   */
  backoffCoefficient?: number;
  /**
   * The longest wait; not shorter than `initialInterval`.
   *
   * @default '15 minutes', or `initialInterval` when that is longer
   */
  maximumInterval?: Duration;
  /**
   * Share of the wait that is random, 0 to 1, so that jobs which failed together do not come back together.
   *
   * @default 0.1
   */
  jitter?: number;
  /**
   * Names (`error.name`) or codes (`error.code`) of errors that no further attempt would cure.
   *
   * @default []
   */
  nonRetryable?: readonly string[];
}

/** How many jobs a lane runs at the same time, and how long it stays. */
export interface LaneOptions {
  /**
   * Jobs of the class that run at the same time in each worker; the worker's own `concurrency` does not count them.
   *
   * @default 50
   */
  concurrency?: number;
  /**
   * How long a lane waits for further jobs before it ends.
   *
   * @default '1s'
   */
  linger?: Duration;
}

/**
 * How the jobs of a class run: `static override options: JobOptions = { … }`, and `defaults` in the configuration for
 * every class. Durations are milliseconds, or text like `'30 seconds'`.
 *
 * Unknown names and wrong values throw AsyncJobError `settings.invalid`, which lists every problem.
 */
export interface JobOptions {
  /** Whether and when a failed attempt is followed by another. Merged name by name with the defaults. */
  retry?: RetryOptions;
  /**
   * Time for one attempt; `null` means no limit. Whoever is still at it then fails with `job.time_limit`.
   *
   * @default null
   */
  runTimeout?: Duration | null;
  /**
   * Time for all attempts of a run together, from the scheduling of the first; `null` means no limit.
   *
   * @default null
   */
  totalTimeout?: Duration | null;
  /**
   * A worker silent for so long is taken for dead: how soon a crash is noticed, and the longest Temporal outage that a
   * running attempt survives. At least one second.
   *
   * @default '30s'
   */
  heartbeatTimeout?: Duration;
  /**
   * How many crashes of a worker at this job are forgiven before it ends as FAILURE (`job.crashed_repeatedly`).
   *
   * @default 3
   */
  crashRetries?: number;
  /**
   * 1 (first) to 5 (last), among the jobs that wait in one queue.
   *
   * @default Temporal's, which is 3
   */
  priority?: 1 | 2 | 3 | 4 | 5;
  /**
   * A job that may have begun and whose execution Temporal does not know any more (its data or namespace were lost, it
   * was deleted there, its retention passed, PostgreSQL was restored from a backup): `'rerun'` gives it the next run once its
   * worker is gone, `'report'` leaves it to people: `asyncjob doctor` lists it; `job.revoke({ terminate: true })` and
   * `job.retry()` decide. One that waits has not begun and gets its next run either way.
   *
   * @default 'rerun'
   */
  whenLost?: WhenLost;
  /**
   * `'workflow'`: one Temporal workflow per job. `'activity'`: a standalone activity, which costs Temporal about half; it
   * needs server 1.32 or newer, and shows under "Standalone Activities" in Temporal's UI. The row and its promises are the
   * same. Ignored by the inline engine.
   *
   * @default 'workflow', or what the application's `engine` says
   */
  engine?: TemporalEngine;
  /**
   * For many small jobs, of seconds at most: instead of a workflow per job, each worker runs the jobs of a queue in one
   * workflow, a lane. Row, retries, revocation, progress and history are the same; Temporal's UI shows the lane, not the job.
   * Such a class has other indexes, and no `totalTimeout`. Not among the configuration's `defaults`.
   *
   * @default false
   */
  lane?: boolean | LaneOptions;
}

/** Says what is wrong with a value, or nothing. */
type Check = (value: unknown, name: string) => string | undefined;

// The one list of names: validation and merging walk it, and the type below keeps it complete.
const RETRY_CHECKS = {
  maximumAttempts: (value, name) => (value === Infinity ? undefined : wholeNumber(1, 'Infinity for no limit')(value, name)),
  initialInterval: duration(0),
  backoffCoefficient: number(1, 1_000),
  maximumInterval: duration(0),
  jitter: number(0, 1),
  nonRetryable: (value, name) =>
    Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')
      ? undefined
      : `${name}: ${shown(value)} is no list of error names or codes: write ['ValidationError', …]`,
} satisfies Record<keyof RetryOptions, Check>;

const LANE_CHECKS = {
  concurrency: wholeNumber(1),
  linger: duration(0),
} satisfies Record<keyof LaneOptions, Check>;

const CHECKS = {
  retry: (value, name) => (isObject(value) ? undefined : `${name}: ${shown(value)} is no object: write { maximumAttempts: 3 }`),
  runTimeout: orNull(duration(1)),
  totalTimeout: orNull(duration(1)),
  heartbeatTimeout: duration(1_000),
  crashRetries: wholeNumber(0),
  priority: (value, name) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 5
      ? undefined
      : `${name}: ${shown(value)} is none of 1 (first) to 5 (last)`,
  engine: (value, name) =>
    TEMPORAL_ENGINES.includes(value as TemporalEngine) ? undefined : `${name}: ${shown(value)} is neither 'workflow' nor 'activity'`,
  whenLost: (value, name) =>
    WHEN_LOST.includes(value as WhenLost) ? undefined : `${name}: ${shown(value)} is neither 'rerun' nor 'report'`,
  lane: (value, name) =>
    typeof value === 'boolean' || isObject(value)
      ? undefined
      : `${name}: ${shown(value)} is neither a boolean nor an object: write true, or { concurrency: 60 }`,
} satisfies Record<keyof JobOptions, Check>;

/** Everything that is wrong with `options`; each problem begins with the name of the option, under `prefix`. */
export function problemsOfJobOptions(options: unknown, prefix: string): string[] {
  if (!isObject(options)) return [`${prefix}: ${shown(options)} is no object of job options`];
  const problems = problemsOf(options, CHECKS, prefix);
  if (isObject(options.retry)) problems.push(...problemsOf(options.retry, RETRY_CHECKS, `${prefix}.retry`));
  if (isObject(options.lane)) problems.push(...problemsOf(options.lane, LANE_CHECKS, `${prefix}.lane`));
  return problems;
}

/** The same for the configuration's `defaults`. */
export function problemsOfDefaults(defaults: unknown): string[] {
  const problems = problemsOfJobOptions(defaults, 'defaults');
  // Its table's indexes are those of the class, which knows nothing of a configuration.
  if (isObject(defaults) && defaults.lane !== undefined)
    problems.push('defaults.lane: belongs to a class: static options = { lane: true }');
  return problems;
}

function problemsOf(values: Record<string, unknown>, checks: Record<string, Check>, prefix: string): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (!Object.hasOwn(checks, name)) return [`${prefix}: ${unknownName(name, Object.keys(checks))}`];
    return checks[name]!(value, `${prefix}.${name}`) ?? [];
  });
}

/**
 * The policy of a job class: the library's defaults, then the application's, then the class's own options on top.
 *
 * @throws AsyncJobError `settings.invalid`, listing every problem of both
 */
export function resolveJobOptions(own: JobOptions, defaults: JobOptions, jobType: string): JobPolicy {
  const problems = [...problemsOfDefaults(defaults), ...problemsOfJobOptions(own, `${jobType}.options`)];
  if (problems.length > 0) throw invalidSettings(`job options of '${jobType}'`, problems);

  const options = { ...given(defaults), ...given(own) };
  const retry: RetryOptions = { ...given(defaults.retry ?? {}), ...given(own.retry ?? {}) };
  const policy = DEFAULT_POLICY.retry;
  const initialIntervalMs = milliseconds(retry.initialInterval, policy.initialIntervalMs);
  // A long first wait must not be cut by a default that nobody wrote.
  const maximumIntervalMs = milliseconds(retry.maximumInterval, Math.max(policy.maximumIntervalMs, initialIntervalMs));
  if (maximumIntervalMs < initialIntervalMs) {
    throw invalidSettings(`job options of '${jobType}'`, [
      `retry.maximumInterval (${shown(retry.maximumInterval)}) is shorter than retry.initialInterval (${shown(retry.initialInterval ?? policy.initialIntervalMs)})`,
    ]);
  }
  const lane = laneOf(own.lane);
  if (lane !== null && (options.totalTimeout ?? null) !== null) {
    throw invalidSettings(`job options of '${jobType}'`, [
      'totalTimeout: nobody watches it in a lane: give totalTimeout: null, and runTimeout for an attempt',
    ]);
  }
  return {
    retry: {
      maximumAttempts: retry.maximumAttempts ?? policy.maximumAttempts,
      initialIntervalMs,
      backoffCoefficient: retry.backoffCoefficient ?? policy.backoffCoefficient,
      maximumIntervalMs,
      jitter: retry.jitter ?? policy.jitter,
      nonRetryable: retry.nonRetryable ?? policy.nonRetryable,
    },
    runTimeoutMs: milliseconds(options.runTimeout, DEFAULT_POLICY.runTimeoutMs),
    totalTimeoutMs: milliseconds(options.totalTimeout, DEFAULT_POLICY.totalTimeoutMs),
    heartbeatTimeoutMs: milliseconds(options.heartbeatTimeout, DEFAULT_POLICY.heartbeatTimeoutMs),
    crashRetries: options.crashRetries ?? DEFAULT_POLICY.crashRetries,
    priority: options.priority ?? DEFAULT_POLICY.priority,
    whenLost: options.whenLost ?? DEFAULT_POLICY.whenLost,
    engine: options.engine ?? DEFAULT_POLICY.engine,
    lane,
  };
}

function laneOf(lane: JobOptions['lane']): LanePolicy | null {
  if (lane === undefined || lane === false) return null;
  const { concurrency, linger } = lane === true ? {} : lane;
  return { concurrency: concurrency ?? DEFAULT_LANE.concurrency, lingerMs: milliseconds(linger, DEFAULT_LANE.lingerMs) };
}

/** Without names whose value is undefined, so that these do not hide a default. */
function given<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/** `null` is a choice (no limit), undefined is none. */
function milliseconds<T extends number | null>(value: Duration | null | undefined, otherwise: T): number | T {
  if (value === undefined) return otherwise;
  return (value === null ? null : toMilliseconds(value, 'duration')) as number | T;
}

function duration(minimumMs: number): Check {
  return (value, name) => {
    const problem = problemOfDuration(value, minimumMs);
    return problem && `${name}: ${problem}`;
  };
}

function orNull(check: Check): Check {
  return (value, name) => (value === null ? undefined : check(value, name));
}

function wholeNumber(minimum: number, or?: string): Check {
  return (value, name) =>
    Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= 2_147_483_647
      ? undefined
      : `${name}: ${shown(value)} is no whole number from ${minimum} on${or ? ` (or ${or})` : ''}`;
}

function number(minimum: number, maximum: number): Check {
  return (value, name) =>
    typeof value === 'number' && value >= minimum && value <= maximum
      ? undefined
      : `${name}: ${shown(value)} is no number from ${minimum} to ${maximum}`;
}
