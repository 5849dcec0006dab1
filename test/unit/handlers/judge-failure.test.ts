// What an error of a handler means, for the row and for the next attempt.
import { describe, expect, it } from 'vitest';
import { AsyncJobError, GiveUp, RetryAfter } from '../../../src/domain/errors.ts';
import { DEFAULT_POLICY } from '../../../src/domain/job-policy.ts';
import { HandlerHangs, judgeFailure, timeLimitError } from '../../../src/handlers/judge-failure.ts';

const POLICY = { ...DEFAULT_POLICY.retry, maximumAttempts: 3, initialIntervalMs: 100, jitter: 0, nonRetryable: ['ValidationError'] };
const judge = (error: unknown, failures = 1) => judgeFailure(error, failures, POLICY);

describe('a failure', () => {
  it('is followed by another attempt while some are left, and the record says so', () => {
    expect(judge(new TypeError('boom'))).toMatchObject({
      record: { type: 'TypeError', message: 'boom', retryable: true },
      decision: { retry: true, delayMs: 100 },
      handlerGoesOn: false,
    });
    expect(judge(new TypeError('boom'), 3)).toMatchObject({ record: { retryable: false }, decision: { retry: false } });
  });

  it.each([
    ['GiveUp', new GiveUp('no')],
    ['a GiveUp of another copy of this library', Object.assign(new Error('no'), { name: 'GiveUp' })],
    ['an error that the policy names', Object.assign(new Error('no'), { name: 'ValidationError' })],
    ["Temporal's own word for it", Object.assign(new Error('no'), { nonRetryable: true })],
    ['a value that its column does not take', new AsyncJobError('handler.value_invalid', 'too long')],
  ])('is the last one after %s', (_, error) => {
    expect(judge(error).decision).toEqual({ retry: false });
  });

  it('waits as long as RetryAfter says, and as the policy says when that is no duration', () => {
    expect(judge(new RetryAfter('2 seconds')).decision).toEqual({ retry: true, delayMs: 2_000 });
    expect(judge(new RetryAfter('soon')).decision).toEqual({ retry: true, delayMs: 100 });
  });

  it('at the time limit of a handler that goes on is the last one, since a second would run beside it', () => {
    expect(judge(timeLimitError(300, new Error('stopped')))).toMatchObject({ decision: { retry: true }, handlerGoesOn: false });
    const hanging = judge(timeLimitError(300, new HandlerHangs()));
    expect(hanging).toMatchObject({ record: { code: 'job.time_limit' }, decision: { retry: false }, handlerGoesOn: true });
    expect(hanging.record.message).toContain('its slot was taken from it');
  });
});
