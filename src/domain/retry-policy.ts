// Decides whether and when a failed attempt is followed by another. Pure; durations are milliseconds.

/** How often the handler may fail, and how long to wait in between. */
export interface RetryPolicy {
  /** Attempts that may fail by themselves; crashes are counted apart. */
  maximumAttempts: number;
  initialIntervalMs: number;
  backoffCoefficient: number;
  maximumIntervalMs: number;
  /** Share of the delay that is random, 0 to 1. */
  jitter: number;
  /** Names (`error.name`) or codes (`error.code`) of errors that are never followed by another attempt. */
  nonRetryable: readonly string[];
}

export interface FailedAttempt {
  /** Failures of this run so far, this one included. */
  failures: number;
  /** Name and code of what the handler threw. */
  errorNames: readonly string[];
  gaveUp: boolean;
  /** The delay that the handler asked for, in milliseconds. */
  retryAfterMs?: number | undefined;
}

export type RetryDecision = { retry: true; delayMs: number } | { retry: false };

/** The delay grows from `initialIntervalMs` by `backoffCoefficient` up to `maximumIntervalMs`; `random` is 0 to 1. */
export function decideRetry(policy: RetryPolicy, failed: FailedAttempt, random: number = Math.random()): RetryDecision {
  if (failed.gaveUp || failed.failures >= policy.maximumAttempts) return { retry: false };
  if (failed.errorNames.some((name) => policy.nonRetryable.includes(name))) return { retry: false };
  if (failed.retryAfterMs !== undefined) return { retry: true, delayMs: failed.retryAfterMs };
  // Nothing times infinity is no number.
  const grown = policy.initialIntervalMs && policy.initialIntervalMs * policy.backoffCoefficient ** (failed.failures - 1);
  const capped = Math.min(grown, policy.maximumIntervalMs);
  return { retry: true, delayMs: Math.round(capped * (1 - policy.jitter * random)) };
}
