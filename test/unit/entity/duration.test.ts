import { describe, expect, it } from 'vitest';
import { problemOfDuration, toMilliseconds } from '../../../src/entity/duration.ts';

describe('toMilliseconds', () => {
  it.each([
    [0, 0],
    [1_500, 1_500],
    [0.4, 0],
    ['30 seconds', 30_000],
    ['1 second', 1_000],
    ['5 minutes', 300_000],
    ['2 hours', 7_200_000],
    ['1 day', 86_400_000],
    ['250ms', 250],
    ['1h', 3_600_000],
    ['1.5h', 5_400_000],
    [' 10s ', 10_000],
    ['0', 0],
    ['0s', 0],
    ['0 seconds', 0],
    ['0.0 minutes', 0],
  ])('reads %o as %i', (value, expected) => {
    expect(toMilliseconds(value, 'delay')).toBe(expected);
  });

  it.each([
    [-1, /negative/],
    ['-5 seconds', /negative/],
    [Number.NaN, /no duration/],
    [Infinity, /100 years/],
    ['1000 years', /100 years/],
    ['', /no duration/],
    ['soon', /no duration/],
    ['5 fortnights', /no duration/],
    ['0 fortnights', /no duration/],
    ['30', /the unit is missing/],
    [null, /no duration/],
    [{}, /no duration/],
  ])('refuses %o', (value, why) => {
    const act = () => toMilliseconds(value as never, 'retry.delay');
    expect(act).toThrow(expect.objectContaining({ code: 'settings.invalid' }));
    expect(act).toThrow(/retry\.delay: /);
    expect(act).toThrow(why);
  });

  it('says the shortest one that is taken', () => {
    expect(problemOfDuration('1ms', 1_000)).toBe("'1ms' is less than 1s");
    expect(problemOfDuration('1s', 1_000)).toBeUndefined();
  });
});
