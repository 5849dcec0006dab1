// A row as the reconciler sees it, for tests that change one thing of it.
import type { RunFacts } from '../../../src/domain/ports.ts';

export function runFacts(changes: Partial<RunFacts> = {}): RunFacts {
  return {
    jobType: 'MyJob',
    id: '018f0000-0000-7000-8000-000000000000',
    run: 2,
    status: 'PENDING',
    runId: 'r',
    revokeRequested: false,
    isHeld: false,
    settledForMs: null,
    enqueuedForMs: 600_000,
    ...changes,
  };
}
