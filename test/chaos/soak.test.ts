// The soak of `npm run chaos`, short and with a seed that stays the same.
import { expect, it, vi } from 'vitest';
import { soak } from './support/soak.ts';

vi.setConfig({ testTimeout: 4 * 60_000 });

it('jobs of all kinds survive workers and servers that are killed at random', async () => {
  const report = await soak({ seed: 7, lengthMs: 25_000, jobsPerSecond: 8, workers: 2, quietWithinMs: 90_000 });
  if (report.violations.length > 0) expect.fail(report.explanation);
  expect(report.lost).toBe(0);
  expect(report.total).toBeGreaterThan(100);
});
