// The soak of `npm run chaos`, short and with seeds that stay the same.
import { expect, it, vi } from 'vitest';
import { soak } from './support/soak.ts';

vi.setConfig({ testTimeout: 4 * 60_000 });

it.each([
  ['workflow', 38],
  ['activity', 39],
] as const)('jobs of all kinds, each a Temporal %s, survive workers and servers that are killed at random', async (engine, seed) => {
  const report = await soak({ seed, engine, lengthMs: 28_000, jobsPerSecond: 8, workers: 2, quietWithinMs: 90_000 });
  expect(report.explanation).toBe('');
  expect(report).toMatchObject({ violations: [], lost: 0 });
  expect(report.total).toBeGreaterThan(100);
});
