// Three projects: `unit` needs nothing and takes seconds; `servers` gets a PostgreSQL and a Temporal development server, started
// once when one of its files is selected (test/support/global-setup.ts); `chaos` kills servers of its own, and comes last.
import { defineConfig } from 'vitest/config';

// Tests wait for events: a limit only ends what hangs, also on a machine that is busy with other things.
const shared = { pool: 'forks' as const, testTimeout: 180_000, hookTimeout: 180_000 };

export default defineConfig({
  test: {
    // Temporal's server and its workers share the machine with the tests.
    maxWorkers: 2,
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    projects: [
      { test: { ...shared, name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        test: {
          ...shared,
          name: 'servers',
          include: ['test/{contract,integration,e2e}/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
      { test: { ...shared, name: 'chaos', include: ['test/chaos/**/*.test.ts'], sequence: { groupOrder: 1 } } },
    ],
  },
});
