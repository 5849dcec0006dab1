// Checks that answer in time: what a server does not answer is a finding, too.
import type { Failure } from './facts.ts';

/** How long one step of an inspection may take. */
export const STEP_DEADLINE_MS = 4_000;

/** What `look` finds, or why it does not, its silence included. Never rejects. */
export async function find<T extends object>(what: string, look: () => Promise<T>, deadlineMs = STEP_DEADLINE_MS): Promise<T | Failure> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within ${deadlineMs / 1000} s`)), deadlineMs);
  });
  try {
    return await Promise.race([look(), silence]);
  } catch (error) {
    return toFailure(error);
  } finally {
    clearTimeout(timer);
  }
}

export function toFailure(error: unknown): Failure {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const text = typeof message === 'string' && message !== '' ? message : typeof code === 'string' ? code : String(error);
  return { error: { code: typeof code === 'string' ? code : null, message: text } };
}
