// Whether an attempt may begin: asks the row, and waits in place while an older execution of the job lives, and for a
// PostgreSQL that is away. No handler has begun here yet, so that a stop has nothing to write.
import { endOfUnbegun, type AttemptEnd, type AttemptStopped } from '../domain/attempt.ts';
import { AsyncJobError, toErrorRecord } from '../domain/errors.ts';
import { pause } from '../domain/pause.ts';
import type { AttemptRef, JobMirror, Log, Row, StartVerdict } from '../domain/ports.ts';
import { settledOrAborted } from './waiting.ts';

export interface StartParts {
  ref: AttemptRef;
  crashRetries: number;
  /** Another attempt of the job ran in this process when this one came. */
  runningHere: boolean;
  /** Resolves when the start may be sent. */
  inForce: Promise<void> | undefined;
  mirror: JobMirror;
  /** Null outside of worker processes. */
  registry: { readonly id: string; running(jobId: string): number } | null;
  isTransient(error: unknown): boolean;
  /** Its reason is an AttemptStopped. */
  stop: AbortSignal;
  heartbeat(): void;
  log: () => Log;
}

const LOOK_AGAIN_MS = 1_000;
/** How long an attempt waits for a PostgreSQL that does not take its start. */
const START_PATIENCE_MS = 15 * 60_000;
const WAITING_FOR = {
  held: 'an older execution of this job still lives',
  registry: 'this worker could not renew its registry row',
  database: 'PostgreSQL does not take the start; it is asked again every second',
};

/** The row that is STARTED by it, or how it ended without. */
export async function startAttempt(parts: StartParts): Promise<AttemptEnd | { row: Row }> {
  const { crashRetries, inForce, stop, log } = parts;
  const said = new Set<string>();
  let giveUpAt = Infinity;
  if (inForce) await settledOrAborted(inForce, stop);
  for (let isFirst = true; ; isFirst = false) {
    if (!isFirst) await pause(LOOK_AGAIN_MS, stop);
    if (stop.aborted) return endOfUnbegun((stop.reason as AttemptStopped).reason);
    const verdict = await askToStart(parts, giveUpAt);
    switch (verdict.kind) {
      case 'started':
        return { row: verdict.row };
      case 'succeeded':
      case 'revoked':
      case 'behind':
      case 'not_found':
        return { kind: verdict.kind };
      case 'refused':
        return { kind: 'refused', why: `the row is ${verdict.status} in run ${verdict.run}` };
      case 'crashed': {
        const error = toErrorRecord(
          new AsyncJobError('job.crashed_repeatedly', `the worker died at this job more often than crashRetries (${crashRetries}) allows.`),
          false,
        );
        return { kind: 'failed', error };
      }
      case 'wait':
        if (!said.has(verdict.because)) log().info(verdict, `waiting: ${WAITING_FOR[verdict.because]}`);
        said.add(verdict.because);
        giveUpAt = verdict.because === 'database' ? Math.min(giveUpAt, performance.now() + START_PATIENCE_MS) : Infinity;
    }
    parts.heartbeat();
  }
}

/** A PostgreSQL that is away is no reason for another attempt: Temporal would count it. */
async function askToStart(
  parts: StartParts,
  giveUpAt: number,
): Promise<StartVerdict | { kind: 'wait'; because: 'database'; err: unknown }> {
  const { ref, crashRetries, runningHere, mirror, registry, isTransient } = parts;
  try {
    return await mirror.start(ref, {
      worker: registry?.id ?? null,
      crashRetries,
      runningHere: runningHere && (registry?.running(ref.id) ?? 0) > 1,
    });
  } catch (error) {
    if (registry === null || !isTransient(error) || performance.now() > giveUpAt) throw error;
    return { kind: 'wait', because: 'database', err: error };
  }
}
