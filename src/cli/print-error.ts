// How a command that failed says so.
import { inspect } from 'node:util';
import { CommanderError } from 'commander';
import { AsyncJobError } from '../domain/errors.ts';

/** What is ours is said in one paragraph; a stack would only hide it. Any other error is a bug somewhere, and shows where. */
export function printError(error: unknown, { withStack, write }: { withStack: boolean; write(text: string): void }): void {
  const text = error instanceof AsyncJobError && !withStack ? error.message : inspect(error);
  write(`error: ${text}\n`);
}

const USAGE_CODES: readonly string[] = ['settings.invalid', 'config.not_found', 'config.invalid'];

/** 1 for failures, 2 for what the caller got wrong; help and version are no errors. */
export function exitCodeOf(error: unknown): 0 | 1 | 2 {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return error instanceof AsyncJobError && USAGE_CODES.includes(error.code) ? 2 : 1;
}
