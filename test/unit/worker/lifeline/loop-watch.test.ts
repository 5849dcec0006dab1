import { expect, it } from 'vitest';
import { BLOCK_MIN_MS, LoopWatch } from '../../../../src/worker/lifeline/loop-watch.ts';

/** Looks every 100 ms at a loop that does not turn for `blockedMs`, then turns. */
function lookAt(blockedMs: number): { saidAtMs: number[]; endedAfterMs: number | null } {
  const watch = new LoopWatch(0, 0);
  watch.look(1, 100);
  const saidAtMs: number[] = [];
  for (let ms = 100; ms <= blockedMs; ms += 100) {
    if (watch.look(1, 100 + ms).isWorthSaying) saidAtMs.push(ms);
  }
  return { saidAtMs, endedAfterMs: watch.look(2, 200 + blockedMs).endedAfterMs };
}

it('says after 1 s, 5 s, 30 s and then each minute that a loop is blocked', () => {
  expect(lookAt(190_000).saidAtMs).toEqual([1_000, 5_000, 30_000, 60_000, 120_000, 180_000]);
});

it('says how long a block lasted, unless it was short', () => {
  expect(lookAt(12_300)).toMatchObject({ endedAfterMs: 12_300 });
  expect(lookAt(900)).toEqual({ saidAtMs: [], endedAfterMs: null });
});

it('begins anew once the loop has turned', () => {
  const watch = new LoopWatch(0, 0);
  for (let ms = 100; ms <= 2_000; ms += 100) watch.look(0, ms);
  expect(watch.look(1, 2_100)).toEqual({ blockedMs: 0, isWorthSaying: false, endedAfterMs: 2_000 });
  expect(watch.look(1, 2_200).blockedMs).toBe(100);
});

it('does not take the sleep of a whole machine for a block', () => {
  const watch = new LoopWatch(0, 0);
  const { blockedMs, isWorthSaying } = watch.look(0, 3_600_000);
  expect(blockedMs).toBeLessThan(BLOCK_MIN_MS);
  expect(isWorthSaying).toBe(false);
});
