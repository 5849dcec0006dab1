import { expect, it } from 'vitest';
import { SharedState } from '../../../../src/worker/lifeline/shared-state.ts';

it('waits for a beat that is under way, and for none otherwise', async () => {
  const here = new SharedState();
  const there = new SharedState(here.buffer);
  expect(here.beatInFlight()).toBeNull();
  there.isBeating = true;
  let isOver = false;
  const over = here.beatInFlight()!.then(() => (isOver = true));
  await new Promise(setImmediate);
  expect(isOver).toBe(false);
  there.isBeating = false;
  await over;
  expect(here.beatInFlight()).toBeNull();
});

it('never goes back to an earlier phase', () => {
  const state = new SharedState();
  expect(state.phase).toBe('starting');
  state.advance('stopping');
  state.advance('ready');
  expect(state.phase).toBe('stopping');
  state.advance('failed');
  expect(state.phase).toBe('failed');
});

it('knows how old the last renewal is', () => {
  const state = new SharedState();
  expect(state.renewalAgeMs).toBeNull();
  const sentAt = process.hrtime.bigint() - 3_000_000_000n;
  state.renewed(sentAt);
  expect(state.renewalAgeMs).toBeGreaterThanOrEqual(3_000);
  expect(state.renewalAgeMs).toBeLessThanOrEqual(Number(process.hrtime.bigint() - sentAt) / 1e6);
});
