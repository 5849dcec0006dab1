// Waiting for time and for signals, without leaving listeners behind.

/** The longest time that Node's timers take. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Calls `fn` after `ms`, however long that is; returns how to forget it. */
export function after(ms: number, fn: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    timer = setTimeout(() => (leftMs > TIMER_MAX_MS ? arm(leftMs - TIMER_MAX_MS) : fn()), Math.min(leftMs, TIMER_MAX_MS));
  };
  arm(ms);
  return () => clearTimeout(timer);
}

/** Calls `onAbort` once, at once when the signal has aborted already; returns how to stop listening. */
export function follow(signal: AbortSignal, onAbort: () => void): () => void {
  if (signal.aborted) {
    onAbort();
    return () => undefined;
  }
  signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}

/** Resolves when `promise` does, or when the signal aborts. */
export function settledOrAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const forget = follow(signal, resolve);
    void promise.then(() => {
      forget();
      resolve();
    });
  });
}
