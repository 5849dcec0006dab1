import { expect, it } from 'vitest';
import { whyNotLive, whyNotReady, type Sight } from '../../../../src/worker/lifeline/judge-probes.ts';

const sight = (changes: Partial<Sight> = {}): Sight => ({ phase: 'ready', blockedMs: 0, renewalAgeMs: 100, ttlMs: 15_000, ...changes });

it('is ready between ready and shutdown while the registry row is fresh, also when the loop is blocked', () => {
  expect(whyNotReady(sight())).toBeNull();
  expect(whyNotReady(sight({ blockedMs: 60_000 }))).toBeNull();
  expect(whyNotReady(sight({ phase: 'starting' }))).toBe('starting');
  expect(whyNotReady(sight({ phase: 'stopping' }))).toBe('shutting down');
  expect(whyNotReady(sight({ phase: 'failed' }))).toBe('the worker has failed');
  expect(whyNotReady(sight({ renewalAgeMs: null }))).toBe('the worker registry could not be written yet');
  expect(whyNotReady(sight({ renewalAgeMs: 16_000 }))).toBe('the worker registry was last renewed 16.0 s ago');
});

it('is live unless the worker has failed or its loop is blocked for more than 10 minutes', () => {
  for (const phase of ['starting', 'ready', 'stopping'] as const) expect(whyNotLive(sight({ phase, renewalAgeMs: null }))).toBeNull();
  expect(whyNotLive(sight({ blockedMs: 600_000 }))).toBeNull();
  expect(whyNotLive(sight({ blockedMs: 601_000 }))).toBe('the event loop has been blocked for 601.0 s');
  expect(whyNotLive(sight({ phase: 'failed' }))).toBe('the worker has failed');
});
