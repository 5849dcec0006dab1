import { expect, it } from 'vitest';
import { closestName, unknownName } from '../../../src/entity/closest-name.ts';

const names = ['maximumAttempts', 'initialInterval', 'jitter', 'orm'];

it.each([
  ['maximumAttempt', 'maximumAttempts'],
  ['maxmiumAttempts', 'maximumAttempts'],
  ['INITIALINTERVAL', 'initialInterval'],
  ['jiter', 'jitter'],
  ['rom', 'orm'],
])('takes %s for %s', (name, expected) => {
  expect(closestName(name, names)).toBe(expected);
});

it('lists all names when none is near', () => {
  expect(unknownName('colour', names)).toBe("'colour' is unknown; there are maximumAttempts, initialInterval, jitter, orm");
});
