// What MikroORM and PostgreSQL say when a caller's write fails, as errors that say what to do. Unique violations stay
// MikroORM's own: they belong to the application's columns, and people catch them by class.
import { AsyncJobError } from '../domain/errors.ts';

export interface DatabaseErrorKinds {
  isTransient(error: unknown): boolean;
  isSchemaError(error: unknown): boolean;
  isValueError(error: unknown): boolean;
}

/** What `act` does, and its errors as those for callers. */
export async function orCallerError<R>(jobType: string, kinds: DatabaseErrorKinds, act: () => Promise<R>): Promise<R> {
  try {
    return await act();
  } catch (error) {
    throw toCallerError(error, jobType, kinds);
  }
}

/** The error to throw instead of `error`. */
export function toCallerError(error: unknown, jobType: string, kinds: DatabaseErrorKinds): unknown {
  if (!(error instanceof Error) || error instanceof AsyncJobError) return error;
  const { code } = error as { code?: string };
  // The transaction lost a race: whoever runs transactions again has to recognise it.
  if (code === '40P01' || code === '40001') return error;
  const why = meaningOf(error.message);
  if (kinds.isSchemaError(error)) {
    return new AsyncJobError(
      'database.schema',
      `the table of '${jobType}' is missing or out of date (${why}). Run the application's migrations (npx mikro-orm migration:up).`,
      { cause: error },
    );
  }
  if (kinds.isTransient(error)) {
    return new AsyncJobError('database.unavailable', `PostgreSQL cannot be reached (${why}); nothing was written for '${jobType}'.`, {
      cause: error,
    });
  }
  if (code === '23503') {
    return new AsyncJobError(
      'relation.unsaved',
      `'${jobType}' refers to a row that does not exist (${why}). Flush the related entity before.`,
      { cause: error },
    );
  }
  if (error.name === 'ValidationError' || error.message.includes('Invalid time value') || (code !== '23505' && kinds.isValueError(error))) {
    return new AsyncJobError('job.value_invalid', `a value does not fit its column of '${jobType}': ${why}`, { cause: error });
  }
  return error;
}

/** MikroORM's message is the statement, what PostgreSQL said, and below that its detail and hint. */
function meaningOf(message: string): string {
  const [said = message] = message.split(/\n - (?:detail|hint): /);
  return said.split('\n').at(-1)!;
}
