// One error for everything that is wrong with a set of options, so that nobody repairs them one start at a time.
import { inspect } from 'node:util';
import { AsyncJobError } from '../domain/errors.ts';

/** `settings.invalid` that lists every problem; `where` says in what they were found. */
export function invalidSettings(where: string, problems: readonly string[]): AsyncJobError {
  const [only] = problems;
  if (problems.length === 1) return new AsyncJobError('settings.invalid', `${where}: ${only}`);
  return new AsyncJobError(
    'settings.invalid',
    `${where}, ${problems.length} problems:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
  );
}

/** A value as an error message shows it: short, on one line. */
export function shown(value: unknown): string {
  const text = inspect(value, { depth: 1, breakLength: Infinity });
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
