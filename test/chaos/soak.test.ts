// The soak of `npm run chaos`, short and with seeds that stay the same.
import { expect, it, vi } from 'vitest';
import { soak } from './support/soak.ts';

vi.setConfig({ testTimeout: 6 * 60_000 });

it.each([38, 39])(
  'jobs of all kinds, executed in every way, survive workers and servers that are killed at random (seed %i)',
  async (seed) => {
    const report = await soak({ seed, lengthMs: 28_000, jobsPerSecond: 8, workers: 2, quietWithinMs: 150_000 });
    expect(report.explanation).toBe('');
    expect(report).toMatchObject({ violations: [], lost: 0 });
    expect(report.total).toBeGreaterThan(100);
  },
);
