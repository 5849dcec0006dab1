// The plan of a soak: the same seed does the same to the same.
import { expect, it } from 'vitest';
import { seededRandom } from '../../chaos/support/random.ts';
import { planTrouble, TROUBLE_KINDS } from '../../chaos/support/trouble.ts';

it('is decided by its seed', () => {
  const plan = (seed: number) => planTrouble(seededRandom(seed), { lengthMs: 60_000 });
  expect(plan(1)).toEqual(plan(1));
  expect(plan(1)).not.toEqual(plan(2));
});

it('has every kind of trouble in time, and leaves out what it shall', () => {
  const plan = planTrouble(seededRandom(1), { lengthMs: 3_600_000, longOutageMs: 60_000 });
  expect(new Set(plan.map(({ kind }) => kind))).toEqual(new Set(TROUBLE_KINDS));
  expect(plan.every(({ atMs }, i) => atMs < 3_600_000 && atMs >= (plan[i - 1]?.atMs ?? 0))).toBe(true);
  expect(plan.filter(({ lastsMs }) => lastsMs === 60_000)).toHaveLength(1);
  const without = planTrouble(seededRandom(1), { lengthMs: 3_600_000, without: ['loseTemporal'] });
  expect(without.some(({ kind }) => kind === 'loseTemporal')).toBe(false);
});
