import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { expect, it } from 'vitest';
import { reportAttemptEnd, reportBrokenAttempt } from '../../activities/report-attempt-end.ts';
import type { AttemptEnd } from '../../src/domain/attempt.ts';

const error = { type: 'CardError', message: 'declined', stack: 'CardError: declined\n    at pay', retryable: false };

function failureOf(end: AttemptEnd): ApplicationFailure {
  try {
    reportAttemptEnd(end);
  } catch (failure) {
    return failure as ApplicationFailure;
  }
  throw new Error('no failure');
}

it('returns a receipt where there is nothing to repeat', () => {
  expect(reportAttemptEnd({ kind: 'succeeded' })).toEqual({ verdict: 'succeeded' });
  expect(reportAttemptEnd({ kind: 'refused', why: 'run 2' })).toEqual({ verdict: 'refused', why: 'run 2' });
});

it.each<[AttemptEnd, string, boolean, number | undefined]>([
  [{ kind: 'failed', error }, 'CardError', true, undefined],
  [{ kind: 'failed', error: { ...error, code: '23505' } }, '23505', true, undefined],
  [{ kind: 'retry', error, delayMs: 700 }, 'CardError', false, 700],
  [{ kind: 'revoked' }, 'asyncjob.revoked', true, undefined],
  [{ kind: 'handedBack', reason: 'shutdown' }, 'asyncjob.handed_back', false, 200],
  [{ kind: 'behind' }, 'asyncjob.behind', false, 50],
  [{ kind: 'not_found' }, 'job.not_found', true, undefined],
])('%j is a failure of type %s, final: %s, delay: %s', (end, type, nonRetryable, nextRetryDelay) => {
  expect(failureOf(end)).toMatchObject({ type, nonRetryable, nextRetryDelay });
});

it("carries the handler's stack, and not too much of it", () => {
  expect(failureOf({ kind: 'failed', error }).stack).toBe(error.stack);
  const long = failureOf({ kind: 'failed', error: { ...error, message: 'x'.repeat(9_000), stack: 'y'.repeat(9_000) } });
  expect([long.message.length, long.stack!.length]).toEqual([1_000, 2_000]);
});

it('is a cancellation when Temporal asked for it', () => {
  expect(() => reportAttemptEnd({ kind: 'cancelled' })).toThrow(CancelledFailure);
});

it('repeats what broke, whatever it claims to be', () => {
  expect(reportBrokenAttempt(ApplicationFailure.nonRetryable('over', 'X'))).toMatchObject({ nonRetryable: false });
  expect(reportBrokenAttempt(new CancelledFailure('over'))).toBeInstanceOf(ApplicationFailure);
  expect(reportBrokenAttempt('text')).toMatchObject({ message: 'text', nonRetryable: false });
});
