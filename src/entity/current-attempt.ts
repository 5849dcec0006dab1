// The attempt that surrounds a handler, found by job.save() and by the activity that runs the handler.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { AttemptRef } from '../domain/ports.ts';
import type { AsyncJob } from './async-job.ts';

export interface CurrentAttempt {
  ref: AttemptRef;
  job: AsyncJob;
  /** Aborts when the handler shall stop. */
  signal?: AbortSignal;
  /** Runs the handler with its task and job. */
  runHandler(): Promise<unknown>;
  /** Repeats a write while PostgreSQL is away and the handler shall go on. */
  untilWritten<R>(write: () => Promise<R>): Promise<R>;
  /** Another attempt or a revocation took the row: the handler shall stop. */
  overtaken(): void;
}

const storage = new AsyncLocalStorage<CurrentAttempt>();

export function withAttempt<R>(attempt: CurrentAttempt, fn: () => R): R {
  return storage.run(attempt, fn);
}

export function currentAttempt(): CurrentAttempt | undefined {
  return storage.getStore();
}

/**
 * Answers, called from within the code that runs now, whose attempt it is. A worker's lifeline asks it from another thread when
 * that code blocks the event loop (src/worker/lifeline/blocking-job.ts).
 */
export const ATTEMPT_AT_WORK = 'asyncjob.attemptAtWork';
(globalThis as Record<symbol, unknown>)[Symbol.for(ATTEMPT_AT_WORK)] ??= (): AttemptRef | null => storage.getStore()?.ref ?? null;
