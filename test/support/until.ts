// Waiting in tests: for a condition, never for a time.
import { inspect } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** What is waited for, for the message. */
  what?: string;
  /** @default 30_000 */
  timeoutMs?: number;
  /** @default 25 */
  intervalMs?: number;
}

/**
 * Asks `condition` until it is truthy and returns its value. What it throws counts as "not yet".
 *
 * @throws Error with what was seen last, when the time is over
 */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions = {}): Promise<NonNullable<T>> {
  const { what = condition.toString(), timeoutMs = 30_000, intervalMs = 25 } = options;
  const deadline = Date.now() + timeoutMs;
  let last: { value: unknown } | { error: unknown };
  do {
    try {
      const value = await condition();
      if (value) return value;
      last = { value };
    } catch (error) {
      last = { error };
    }
    await sleep(intervalMs);
  } while (Date.now() < deadline);
  const seen = 'error' in last ? `it threw ${inspect(last.error)}` : `the last value was ${inspect(last.value)}`;
  throw new Error(`not within ${timeoutMs} ms: ${what}; ${seen}`, 'error' in last ? { cause: last.error } : {});
}
