// A handler that does nothing but say how far it is.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Surroundings } from './contestant.ts';

/** Timers are not finer: more calls than one in this time come together. */
const EVERY_MS = 5;

export async function reportProgress(
  task: { progress(fraction: number): void },
  { callsPerS, seconds }: NonNullable<Surroundings['progress']>,
): Promise<void> {
  const calls = callsPerS * seconds;
  const startedAt = performance.now();
  for (let done = 0; done < calls;) {
    const due = Math.min(calls, Math.floor(((performance.now() - startedAt) * callsPerS) / 1_000));
    for (; done < due; done++) task.progress(done / calls);
    await sleep(Math.max(EVERY_MS, 1_000 / callsPerS / 4));
  }
}
