// The heartbeats of one attempt. They go out by themselves, so that revocation and crash detection work for every
// handler, and carry what the handler said last; the SDK throttles and coalesces them.
import type { Context } from '@temporalio/activity';

const INTERVAL_MAX_MS = 5_000;
/** A heartbeat is a write on the server: attempts shorter than this go without. */
const FIRST_AFTER_MS = 1_000;
const DETAILS_LENGTH_MAX = 64 * 1024;

export interface Heartbeats extends Disposable {
  /** Sends `details`, or the last ones again. Never throws. */
  beat(this: void, details?: unknown): void;
  /** Called with the details of every `Context.heartbeat()` of the handler. */
  onRaw(this: void, listener: (details: unknown) => void): void;
}

/** Replaces `Context.heartbeat` for the rest of the attempt: `heartbeat()` and `Context.current().heartbeat()` go through it. */
export function startHeartbeats(context: Context): Heartbeats {
  const send = context.heartbeat;
  // A crash before the first details of this attempt must not lose those of the last one.
  let last: unknown = context.info.heartbeatDetails;
  let listener: ((details: unknown) => void) | null = null;

  const beat = (details?: unknown): void => {
    if (details !== undefined && fits(details)) last = details;
    try {
      send(last);
    } catch (error) {
      context.log.warn('a heartbeat could not be sent', { error });
    }
  };
  const fits = (details: unknown): boolean => {
    // Details that Temporal cannot take fail the attempt, whatever the handler does afterwards.
    try {
      if ((JSON.stringify(details)?.length ?? 0) <= DETAILS_LENGTH_MAX) return true;
      context.log.warn('heartbeat details are too large and were dropped', { lengthMax: DETAILS_LENGTH_MAX });
    } catch (error) {
      context.log.warn('heartbeat details are no JSON and were dropped', { error });
    }
    return false;
  };

  (context as { heartbeat: Context['heartbeat'] }).heartbeat = (details?: unknown) => {
    beat(details);
    listener?.(details);
  };
  const { heartbeatTimeoutMs } = context.info;
  const intervalMs = heartbeatTimeoutMs ? Math.min(heartbeatTimeoutMs / 3, INTERVAL_MAX_MS) : INTERVAL_MAX_MS;
  let timer = setTimeout(
    function repeat() {
      beat();
      timer = setTimeout(repeat, intervalMs);
    },
    Math.min(intervalMs, FIRST_AFTER_MS),
  );
  return {
    beat,
    onRaw: (next) => (listener = next),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
