// What an error of a handler means: which record the row keeps, and whether and when another attempt follows. Pure.
import { AsyncJobError, GiveUp, isAsyncJobError, RetryAfter, toErrorRecord, type ErrorRecord } from '../domain/errors.ts';
import { decideRetry, type RetryDecision, type RetryPolicy } from '../domain/retry-policy.ts';
import { problemOfDuration, toMilliseconds } from '../entity/duration.ts';

/** The handler did not stop at its time limit. */
export class HandlerHangs extends Error {}

export interface Judgement {
  record: ErrorRecord;
  decision: RetryDecision;
  /** It may still be at work. */
  handlerGoesOn: boolean;
}

/** `failures`: of this run so far, this one included. */
export function judgeFailure(error: unknown, failures: number, policy: RetryPolicy): Judgement {
  const handlerGoesOn = error instanceof AsyncJobError && error.cause instanceof HandlerHangs;
  const record = toErrorRecord(error, true);
  const decision = decideRetry(policy, {
    failures,
    errorNames: [record.type, ...(record.code ? [record.code] : [])],
    // A second attempt beside one that goes on would break "never two at once".
    gaveUp: isFinal(error) || handlerGoesOn,
    retryAfterMs: isNamed(error, RetryAfter) ? retryDelayOf(error) : undefined,
  });
  return { record: { ...record, retryable: decision.retry }, decision, handlerGoesOn };
}

export function timeLimitError(runTimeoutMs: number | null, cause: unknown): AsyncJobError {
  const limit = `longer than runTimeout (${runTimeoutMs} ms)`;
  const message =
    cause instanceof HandlerHangs
      ? `the attempt ran ${limit} and did not stop when task.signal aborted; its slot was taken from it.`
      : `the attempt ran ${limit}.`;
  return new AsyncJobError('job.time_limit', message, { cause });
}

/** Errors after which another attempt makes no sense, whatever the policy says. */
function isFinal(error: unknown): boolean {
  if (isNamed(error, GiveUp) || isAsyncJobError(error, 'handler.output_invalid') || isAsyncJobError(error, 'handler.value_invalid'))
    return true;
  return (error as { nonRetryable?: unknown } | null | undefined)?.nonRetryable === true; // Temporal's own way to say it
}

/** By name, too: a handlers module may have loaded this library a second time. */
function isNamed<T extends Error>(error: unknown, kind: abstract new (...args: never[]) => T): error is T {
  return error instanceof kind || (error instanceof Error && error.name === kind.name);
}

// A wrong duration is no reason to lose the outcome: the policy's delay is taken.
function retryDelayOf({ delay }: RetryAfter): number | undefined {
  return problemOfDuration(delay) === undefined ? toMilliseconds(delay, 'RetryAfter') : undefined;
}
