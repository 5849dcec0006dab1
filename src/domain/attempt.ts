// One attempt of a job, seen from the engine that runs it: what it gives to the attempt, and how the attempt ended.
// `src/handlers/run-attempt.ts` turns an AttemptHost into an AttemptEnd; the engine tells Temporal (or nobody) about it.
import type { ErrorRecord } from './errors.ts';
import type { AttemptRef, HandBackReason } from './ports.ts';

/**
 * Why `task.signal` aborted: the row asks for revocation; the engine was asked to cancel (Temporal's UI);
 * the worker shuts down; an operator paused or reset the attempt; the engine gave the attempt up (timed out or
 * not found) or another attempt took the row; the time limit.
 */
export type StopReason = 'revoked' | 'cancelled' | 'shutdown' | 'paused' | 'lost' | 'overtaken' | 'time_limit';

/** What an engine provides for one attempt. */
export interface AttemptHost {
  readonly ref: AttemptRef;
  readonly queue: string;
  /** Aborts with an AttemptStopped whose `reason` says why. */
  readonly signal: AbortSignal;
  /** Tells the engine that the attempt lives; `details` are shown by the engine (Temporal's UI). Never throws. */
  heartbeat(details?: unknown): void;
  /** The engine's own information (Temporal's `Info`), for `task.info`. */
  readonly info: unknown;
  /**
   * Aborts when the engine gave the attempt up (timed out, or not found any more) while it runs. That does not abort
   * `signal`: whether the row still names this attempt is for the attempt to find out. Absent where it cannot happen.
   */
  readonly lost?: AbortSignal;
  /** Reports what the handler sends with the engine's own heartbeat call instead of the task's. */
  onRawHeartbeat?(listener: (details: unknown) => void): void;
}

/**
 * Runs one attempt: asks the row, runs the handler, writes the outcome. The engine provides `invoke`, through which the
 * handler must be run, so that the engine's own layers (Temporal's activity interceptors) surround it; it returns or
 * throws what `runHandler` does. A rejection means that the row could not be written: the engine tries again.
 */
export type RunAttempt = (host: AttemptHost, invoke: (runHandler: () => Promise<unknown>) => Promise<unknown>) => Promise<AttemptEnd>;

/** An attempt that is under way. */
export interface RunningAttempt {
  /** When the handler has really returned; its end may still have to be written. Never rejects. */
  handlerEnded: Promise<void>;
  /** Rejects when the row could not be written. */
  ended: Promise<AttemptEnd>;
}

/** The reason with which `task.signal` aborts. */
export class AttemptStopped extends Error {
  override readonly name = 'AttemptStopped';
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(`the attempt shall stop: ${reason}`);
    this.reason = reason;
  }
}

/** How an attempt ended, for the engine. The row has been written before, except where it says so. */
export type AttemptEnd =
  | { kind: 'succeeded' }
  /** FAILURE: no further attempt. */
  | { kind: 'failed'; error: ErrorRecord }
  /** PENDING: another attempt of this run after `delayMs`. */
  | { kind: 'retry'; error: ErrorRecord; delayMs: number }
  /** REVOKED is on the row. */
  | { kind: 'revoked' }
  /** The engine itself was asked to cancel and the handler has stopped: `finalized` is still to be written. */
  | { kind: 'cancelled' }
  /** PENDING: nobody's failure, another attempt soon. */
  | { kind: 'handedBack'; reason: HandBackReason }
  /** The row belongs to somebody else: end without a verdict and without writing. */
  | { kind: 'refused'; why: string }
  /** The row knows a newer attempt number: try again at once with the next one. */
  | { kind: 'behind' }
  /** There is no row: end without writing. */
  | { kind: 'not_found' };

/** Why an attempt that was stopped gives its job back. */
export function handBackReason(reason: StopReason): HandBackReason {
  return reason === 'shutdown' || reason === 'paused' ? reason : 'lost';
}

/** The end of an attempt that was stopped before its handler began: there is nothing to write. */
export function endOfUnbegun(reason: StopReason): AttemptEnd {
  return reason === 'cancelled' ? { kind: 'cancelled' } : { kind: 'handedBack', reason: handBackReason(reason) };
}
