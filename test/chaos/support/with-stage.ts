// A stage for one test file: its servers are shared by the file's tests, its workers are not, and after each test the
// checker has its say about the test's jobs.
import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest';
import { explain } from './check-history.ts';
import { PATIENCE_MS } from './patience.ts';
import { Stage, type StageOptions } from './stage.ts';

vi.setConfig({ testTimeout: 3 * PATIENCE_MS, hookTimeout: 3 * PATIENCE_MS });

/** Call it at the top of a test file; `stage()` is what the tests play on. */
export function withStage(options: StageOptions = {}): () => Stage {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open(options);
  });
  afterEach(async () => {
    try {
      await stage.mend();
      const { violations, history } = await stage.check();
      if (violations.length > 0) expect.fail(explain(violations, history));
    } finally {
      await stage.endWorkers();
    }
  });
  afterAll(() => stage?.[Symbol.asyncDispose]());
  return () => stage;
}
