import { describe, expect, it } from 'vitest';
import { count, list, timeSpan } from '../../../src/inspect/words.ts';

describe('timeSpan', () => {
  it.each([
    [0, '0 ms'],
    [-5, '0 ms'],
    [340.4, '340 ms'],
    [999.6, '1 s'],
    [12_300, '12 s'],
    [59_900, '1 min'],
    [125_000, '2 min 5 s'],
    [3_600_000, '1 h'],
    [3 * 3_600_000 + 4 * 60_000, '3 h 4 min'],
    [26 * 3_600_000, '1 d 2 h'],
    [12 * 86_400_000 + 3_600_000, '12 d'],
  ])('%d ms is %s', (ms, text) => expect(timeSpan(ms)).toBe(text));
});

it('counts and lists as people do', () => {
  expect([count(1, 'job'), count(0, 'job'), count(2, 'copy', 'copies')]).toEqual(['1 job', '0 jobs', '2 copies']);
  expect(list(['a', 'b'])).toBe('a, b');
  expect(list(['a', 'b', 'c', 'd'], 3)).toBe('a, b and 2 more');
});
