// The hand-over between the mirror interceptor, which begins an attempt, and the activity function, which runs its handler.
import type { Context } from '@temporalio/activity';

type RunHandler = () => Promise<unknown>;

const begun = new WeakMap<Context, RunHandler>();

export function beginAttempt(context: Context, runHandler: RunHandler): void {
  begun.set(context, runHandler);
}

/** The handler of the attempt that was begun for this activity; it runs once. */
export function takeBegunAttempt(context: Context): RunHandler | undefined {
  const runHandler = begun.get(context);
  begun.delete(context);
  return runHandler;
}
