// Whether and when a failed attempt is followed by another, for every policy that the options allow.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideRetry, type FailedAttempt, type RetryPolicy } from '../../../src/domain/retry-policy.ts';

const POLICY: RetryPolicy = {
  maximumAttempts: 5,
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maximumIntervalMs: 5_000,
  jitter: 0,
  nonRetryable: [],
};
const failed = (failures: number, more: Partial<FailedAttempt> = {}): FailedAttempt => ({
  failures,
  errorNames: ['Error'],
  gaveUp: false,
  ...more,
});

const anyPolicy = fc
  .record({
    maximumAttempts: fc.oneof(fc.integer({ min: 1, max: 2_147_483_647 }), fc.constant(Infinity)),
    initialIntervalMs: fc.integer({ min: 1, max: 86_400_000 }),
    backoffCoefficient: fc.double({ min: 1, max: 1_000, noNaN: true }),
    longer: fc.integer({ min: 0, max: 86_400_000 }),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    nonRetryable: fc.constant<string[]>([]),
  })
  .map(({ longer, ...policy }) => ({ ...policy, maximumIntervalMs: policy.initialIntervalMs + longer }));
const anyFailures = fc.integer({ min: 1, max: 5_000 });
const anyRandom = fc.double({ min: 0, max: 1, noNaN: true });
const delayOf = (policy: RetryPolicy, failures: number, random = 0): number => {
  const decision = decideRetry({ ...policy, maximumAttempts: Infinity }, failed(failures), random);
  if (!decision.retry) throw new Error('was not tried again');
  return decision.delayMs;
};

describe('decideRetry', () => {
  it('grows the delay by the coefficient up to the maximum', () => {
    expect([1, 2, 3, 4].map((failures) => decideRetry(POLICY, failed(failures)))).toEqual([
      { retry: true, delayMs: 1_000 },
      { retry: true, delayMs: 2_000 },
      { retry: true, delayMs: 4_000 },
      { retry: true, delayMs: 5_000 },
    ]);
  });

  it('takes the jitter off the delay, never adds to it', () => {
    const policy = { ...POLICY, jitter: 0.2 };
    expect(decideRetry(policy, failed(1), 0)).toEqual({ retry: true, delayMs: 1_000 });
    expect(decideRetry(policy, failed(1), 1)).toEqual({ retry: true, delayMs: 800 });
  });

  it('waits whole milliseconds, at least none and at most the maximum', () => {
    fc.assert(
      fc.property(anyPolicy, anyFailures, anyRandom, (policy, failures, random) => {
        const delayMs = delayOf(policy, failures, random);
        expect(Number.isSafeInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(policy.maximumIntervalMs);
      }),
    );
  });

  it('never waits less after a further failure, without jitter', () => {
    fc.assert(
      fc.property(anyPolicy, anyFailures, (policy, failures) => {
        const steady = { ...policy, jitter: 0 };
        expect(delayOf(steady, failures + 1)).toBeGreaterThanOrEqual(delayOf(steady, failures));
      }),
    );
  });

  it('tries as often as the policy allows, and not once more', () => {
    fc.assert(
      fc.property(anyPolicy, anyFailures, (policy, failures) => {
        expect(decideRetry(policy, failed(failures)).retry).toBe(failures < policy.maximumAttempts);
      }),
    );
  });

  it('does not try again after the handler gave up, whatever it asks for', () => {
    fc.assert(
      fc.property(anyPolicy, anyFailures, (policy, failures) => {
        expect(decideRetry(policy, failed(failures, { gaveUp: true, retryAfterMs: 0 }))).toEqual({ retry: false });
      }),
    );
  });

  it.each([['ValidationError'], ['E_NO_FUNDS']])('does not try again after a non-retryable error: %s', (name) => {
    const policy = { ...POLICY, nonRetryable: ['E_NO_FUNDS', 'ValidationError'] };
    expect(decideRetry(policy, failed(1, { errorNames: ['Error', name] }))).toEqual({ retry: false });
    expect(decideRetry(policy, failed(1, { errorNames: ['Error', name], retryAfterMs: 10 }))).toEqual({ retry: false });
  });

  it('compares names as a whole', () => {
    expect(decideRetry({ ...POLICY, nonRetryable: ['Error'] }, failed(1, { errorNames: ['TypeError'] }))).toMatchObject({ retry: true });
  });

  it('waits as long as the handler asked for, if attempts are left', () => {
    fc.assert(
      fc.property(anyPolicy, anyFailures, fc.nat(), (policy, failures, retryAfterMs) => {
        const decision = decideRetry(policy, failed(failures, { retryAfterMs }));
        expect(decision).toEqual(failures < policy.maximumAttempts ? { retry: true, delayMs: retryAfterMs } : { retry: false });
      }),
    );
  });

  it('draws its own random share of the delay', () => {
    const policy = { ...POLICY, jitter: 0.5 };
    const delays = Array.from({ length: 50 }, () => (decideRetry(policy, failed(1)) as { delayMs: number }).delayMs);
    expect(new Set(delays).size).toBeGreaterThan(1);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(500);
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_000);
  });

  it('waits not at all with an interval of zero, however often it failed', () => {
    expect(delayOf({ ...POLICY, initialIntervalMs: 0 }, 2_000)).toBe(0);
  });
});
