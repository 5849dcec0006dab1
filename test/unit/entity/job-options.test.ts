import { describe, expect, it } from 'vitest';
import { DEFAULT_POLICY } from '../../../src/domain/job-policy.ts';
import { resolveJobOptions, type JobOptions } from '../../../src/entity/job-options.ts';

const resolve = (own: unknown, defaults: unknown = {}) => resolveJobOptions(own as JobOptions, defaults as JobOptions, 'SendInvoice');
const refusal = (own: unknown, defaults: unknown = {}): string => {
  try {
    resolve(own, defaults);
  } catch (error) {
    expect(error).toMatchObject({ code: 'settings.invalid' });
    return (error as Error).message;
  }
  throw new Error('was not refused');
};

describe('resolveJobOptions', () => {
  it('is the default policy without options', () => {
    expect(resolve({})).toEqual(DEFAULT_POLICY);
  });

  it('puts the class on top of the application, name by name in retry', () => {
    const policy = resolve(
      { retry: { maximumAttempts: 5, nonRetryable: ['ValidationError'] }, runTimeout: '10 minutes' },
      { retry: { maximumAttempts: 2, jitter: 0 }, runTimeout: '1m', crashRetries: 0, priority: 2, heartbeatTimeout: '1m' },
    );
    expect(policy).toEqual({
      retry: { ...DEFAULT_POLICY.retry, maximumAttempts: 5, jitter: 0, nonRetryable: ['ValidationError'] },
      runTimeoutMs: 600_000,
      totalTimeoutMs: null,
      heartbeatTimeoutMs: 60_000,
      crashRetries: 0,
      priority: 2,
      whenLost: 'rerun',
      engine: 'workflow',
      lane: null,
    });
  });

  it('lets a class lift a limit of the application with null', () => {
    expect(resolve({ runTimeout: null }, { runTimeout: '1m' }).runTimeoutMs).toBeNull();
  });

  it('takes undefined for not given', () => {
    expect(resolve({ runTimeout: undefined, retry: { jitter: undefined } }, { runTimeout: '1m', retry: { jitter: 0.5 } })).toMatchObject({
      runTimeoutMs: 60_000,
      retry: { jitter: 0.5 },
    });
  });

  it('takes Infinity as no limit of attempts', () => {
    expect(resolve({ retry: { maximumAttempts: Infinity } }).retry.maximumAttempts).toBe(Infinity);
  });

  it('does not cut a long first wait by the default of the longest', () => {
    expect(resolve({ retry: { initialInterval: '1 hour' } }).retry).toMatchObject({
      initialIntervalMs: 3_600_000,
      maximumIntervalMs: 3_600_000,
    });
  });

  it('refuses a longest wait that is shorter than the first', () => {
    expect(refusal({ retry: { maximumInterval: '5s' } }, { retry: { initialInterval: '1m' } })).toContain(
      "retry.maximumInterval ('5s') is shorter than retry.initialInterval ('1m')",
    );
  });

  it('lists every problem of class and application at once', () => {
    const message = refusal(
      {
        retry: {
          maximumAttempts: 0,
          initialInterval: '1 fortnight',
          backoffCoefficient: 0.5,
          maximumInterval: -1,
          jitter: 2,
          nonRetryable: 'TypeError',
          maxAttempts: 3,
        },
        runTimout: '1m',
        totalTimeout: 0,
        heartbeatTimeout: '10ms',
        crashRetries: 1.5,
        priority: 6,
      },
      { prority: 1 },
    );
    expect(message.split('\n')).toEqual([
      "settings.invalid: job options of 'SendInvoice', 13 problems:",
      "  - defaults: 'prority' is unknown; did you mean 'priority'?",
      "  - SendInvoice.options: 'runTimout' is unknown; did you mean 'runTimeout'?",
      '  - SendInvoice.options.totalTimeout: 0 is less than 1ms',
      "  - SendInvoice.options.heartbeatTimeout: '10ms' is less than 1s",
      '  - SendInvoice.options.crashRetries: 1.5 is no whole number from 0 on',
      '  - SendInvoice.options.priority: 6 is none of 1 (first) to 5 (last)',
      '  - SendInvoice.options.retry.maximumAttempts: 0 is no whole number from 1 on (or Infinity for no limit)',
      expect.stringContaining("  - SendInvoice.options.retry.initialInterval: '1 fortnight' is no duration"),
      '  - SendInvoice.options.retry.backoffCoefficient: 0.5 is no number from 1 to 1000',
      '  - SendInvoice.options.retry.maximumInterval: -1 is negative',
      '  - SendInvoice.options.retry.jitter: 2 is no number from 0 to 1',
      "  - SendInvoice.options.retry.nonRetryable: 'TypeError' is no list of error names or codes: write ['ValidationError', …]",
      expect.stringContaining("  - SendInvoice.options.retry: 'maxAttempts' is unknown; "),
    ]);
  });

  it('has defaults for a lane, and takes those of the class', () => {
    expect(resolve({ lane: false }).lane).toBeNull();
    expect(resolve({ lane: true }).lane).toEqual({ concurrency: 50, lingerMs: 1_000 });
    expect(resolve({ lane: { concurrency: 60, linger: '5s' } }).lane).toEqual({ concurrency: 60, lingerMs: 5_000 });
  });

  it('refuses what a lane cannot be, or cannot have', () => {
    expect(refusal({ lane: 'fast' })).toContain("lane: 'fast' is neither a boolean nor an object");
    expect(refusal({ lane: { concurrency: 0, linger: 'long', lingr: 1 } }).split('\n')).toHaveLength(4);
    expect(refusal({}, { lane: true })).toContain('defaults.lane: belongs to a class');
    expect(refusal({ lane: true }, { totalTimeout: '1m' })).toContain('totalTimeout: nobody watches it in a lane');
    expect(resolve({ lane: true, totalTimeout: null }, { totalTimeout: '1m' }).lane).not.toBeNull();
  });

  it.each([[null], ['fast'], [[]]])('refuses %o as options', (options) => {
    expect(refusal(options)).toContain('SendInvoice.options: ');
  });

  it('refuses retry that is no object', () => {
    expect(refusal({ retry: 3 })).toContain('SendInvoice.options.retry: 3 is no object');
  });
});
