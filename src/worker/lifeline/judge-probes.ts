// What the probes answer, from what the thread sees.
import { seconds } from './describe-block.ts';
import type { Phase } from './shared-state.ts';

/** A loop that is blocked for longer will hardly come back: a new process is better. */
const LIVE_BLOCKED_MAX_MS = 10 * 60_000;

export interface Sight {
  phase: Phase;
  blockedMs: number;
  /** `null`: the registry row was never renewed. */
  renewalAgeMs: number | null;
  ttlMs: number;
}

/** Why the process should be replaced; `null`: it is well. */
export function whyNotLive({ phase, blockedMs }: Sight): string | null {
  if (phase === 'failed') return 'the worker has failed';
  return blockedMs > LIVE_BLOCKED_MAX_MS ? `the event loop has been blocked for ${seconds(blockedMs)}` : null;
}

/** Why the worker shall be sent no jobs; `null`: it is up. Also while its loop is blocked, or Temporal is away: that passes. */
export function whyNotReady({ phase, renewalAgeMs, ttlMs }: Sight): string | null {
  if (phase === 'starting') return 'starting';
  if (phase === 'stopping') return 'shutting down';
  if (phase === 'failed') return 'the worker has failed';
  if (renewalAgeMs === null) return 'the worker registry could not be written yet';
  return renewalAgeMs > ttlMs ? `the worker registry was last renewed ${seconds(renewalAgeMs)} ago` : null;
}
