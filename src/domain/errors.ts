// Every error this library throws, by code. Codes are stable: they are stored on rows (`error.code`), travel through
// Temporal as failure types, and are never renamed.

/** Who has to act: the application's code, the people who run it, or nobody (the library tries again). */
export type Fault = 'application' | 'operations' | 'transient';

interface ErrorKind {
  fault: Fault;
  /** Whether the same call may succeed later without a change. */
  retryable: boolean;
  meaning: string;
}

export const ERRORS = {
  'app.ambiguous': { fault: 'application', retryable: false, meaning: 'Several applications are open and the call names none.' },
  'app.context_name': { fault: 'application', retryable: false, meaning: 'Two MikroORM instances in one process share a context name.' },
  'app.not_connected': { fault: 'application', retryable: false, meaning: 'No application is open.' },
  'app.closed': { fault: 'application', retryable: false, meaning: 'The application was closed.' },
  'config.not_found': { fault: 'application', retryable: false, meaning: 'The application file does not exist.' },
  'config.invalid': { fault: 'application', retryable: false, meaning: 'The application file does not export a configuration.' },
  'config.load_failed': { fault: 'application', retryable: false, meaning: 'The application file threw while it was loaded.' },
  'settings.invalid': { fault: 'application', retryable: false, meaning: 'Settings or options are unknown or have wrong values.' },
  'handler.missing': { fault: 'application', retryable: true, meaning: 'No handler is registered for the job type.' },
  'handler.duplicate': { fault: 'application', retryable: false, meaning: 'A job class has two handlers.' },
  'handler.unbound': { fault: 'application', retryable: false, meaning: 'handler() was called without its class.' },
  'handler.load_failed': { fault: 'application', retryable: false, meaning: 'A handlers module threw while it was loaded.' },
  'handler.output_invalid': { fault: 'application', retryable: false, meaning: 'A handler returned what cannot be stored as JSON.' },
  'handler.value_invalid': {
    fault: 'application',
    retryable: false,
    meaning: 'A handler left a value in an own column that the column does not take.',
  },
  'job.move_refused': { fault: 'application', retryable: false, meaning: 'The lifecycle does not allow the move from the present status.' },
  'job.not_persisted': { fault: 'application', retryable: false, meaning: 'The job has no row: never flushed, rolled back, or deleted.' },
  'job.not_found': { fault: 'application', retryable: false, meaning: 'The job has no row any more.' },
  'job.not_direct': { fault: 'application', retryable: false, meaning: 'A job class extends another job class made by asyncJob().' },
  'job.not_an_entity': { fault: 'application', retryable: false, meaning: 'A job class is not among the entities of the ORM.' },
  'job.duplicate_type': { fault: 'application', retryable: false, meaning: 'Two job classes have one job type.' },
  'job.reserved_column': { fault: 'application', retryable: false, meaning: 'An own column has the name of a base column or method.' },
  'job.value_invalid': { fault: 'application', retryable: false, meaning: 'A value does not fit its column.' },
  'job.crashed_repeatedly': {
    fault: 'application',
    retryable: false,
    meaning: 'The worker died at this job more often than crashRetries allows.',
  },
  'job.time_limit': {
    fault: 'application',
    retryable: false,
    meaning: 'An attempt ran longer than runTimeout, or the job longer than totalTimeout.',
  },
  'job.wait_in_transaction': {
    fault: 'application',
    retryable: false,
    meaning: 'wait() was called in an open transaction, whose job cannot run before the commit.',
  },
  'job.wait_timeout': { fault: 'transient', retryable: true, meaning: 'The job was not settled in time; it goes on.' },
  'attempt.overtaken': { fault: 'transient', retryable: false, meaning: 'A newer attempt or a revocation has taken the row.' },
  'relation.unsaved': { fault: 'application', retryable: false, meaning: 'A job refers to an entity that has no row yet.' },
  'orm.versions': { fault: 'application', retryable: false, meaning: 'Two versions or copies of MikroORM are loaded.' },
  'database.schema': { fault: 'operations', retryable: false, meaning: 'A table or column is missing or out of date.' },
  'database.unavailable': { fault: 'operations', retryable: true, meaning: 'PostgreSQL cannot be reached.' },
  'temporal.unavailable': { fault: 'operations', retryable: true, meaning: 'Temporal cannot be reached.' },
  'temporal.namespace': { fault: 'operations', retryable: false, meaning: 'The Temporal namespace does not exist.' },
  'temporal.unsupported': { fault: 'operations', retryable: false, meaning: 'The Temporal server is too old for what is asked of it.' },
  'temporal.cli_missing': { fault: 'operations', retryable: false, meaning: 'No Temporal CLI was found for the development server.' },
  'dev.server_failed': { fault: 'operations', retryable: false, meaning: 'A development server did not start.' },
  'worker.abandoned': {
    fault: 'application',
    retryable: true,
    meaning: 'Attempts could not be ended in time when the worker was told to end; its process has to.',
  },
} as const satisfies Record<string, ErrorKind>;
export type ErrorCode = keyof typeof ERRORS;

/** An error of this library. Match it by `code`. */
export class AsyncJobError extends Error {
  override readonly name = 'AsyncJobError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }

  /** Whether the same call may succeed later without a change. */
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

export function isAsyncJobError(error: unknown, code?: ErrorCode): error is AsyncJobError {
  return error instanceof AsyncJobError && (code === undefined || error.code === code);
}

/** Thrown by a handler: this attempt failed and there shall be no further one. */
export class GiveUp extends Error {
  override readonly name: string = 'GiveUp';
}

/** Thrown by a handler: this attempt failed; try again after `delay` (a duration, see `JobOptions`), if attempts are left. */
export class RetryAfter extends Error {
  override readonly name: string = 'RetryAfter';
  readonly delay: number | string;

  constructor(delay: number | string, message = `retry after ${delay}`, options?: ErrorOptions) {
    super(message, options);
    this.delay = delay;
  }
}

/** What a row remembers of an error: `error` jsonb. `code` is this library's, the driver's, or the error's own. */
export interface ErrorRecord {
  type: string;
  message: string;
  stack?: string | undefined;
  code?: string | undefined;
  retryable: boolean;
}

const TYPE_LENGTH_MAX = 200;
const MESSAGE_LENGTH_MAX = 10_000;
const STACK_LENGTH_MAX = 20_000;

/**
 * Any thrown value as a record: bounded, and such that PostgreSQL takes it (no NUL bytes, no halves of characters). It
 * never throws itself, whatever was thrown: without a record an attempt would have no outcome.
 */
export function toErrorRecord(error: unknown, retryable: boolean): ErrorRecord {
  try {
    if (!(error instanceof Error)) return { type: typeof error, message: clean(describe(error), MESSAGE_LENGTH_MAX), retryable };
    const { name, message, stack, code } = error as { name: unknown; message: unknown; stack: unknown; code?: unknown };
    return {
      type: clean(name || error.constructor.name, TYPE_LENGTH_MAX),
      message: clean(message, MESSAGE_LENGTH_MAX),
      stack: stack === undefined || stack === null ? undefined : clean(stack, STACK_LENGTH_MAX),
      code: typeof code === 'string' || typeof code === 'number' ? clean(code, TYPE_LENGTH_MAX) : undefined,
      retryable,
    };
  } catch {
    return { type: typeof error, message: 'what was thrown cannot be read', retryable };
  }
}

function clean(value: unknown, lengthMax: number): string {
  return describe(value).replaceAll('\u0000', '').slice(0, lengthMax).toWellFormed();
}

function describe(value: unknown): string {
  if (typeof value === 'string') return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    try {
      return String(value);
    } catch {
      return Object.prototype.toString.call(value);
    }
  }
}

/** `Type: message`, the value of `job.errorMessage`. */
export function toErrorMessage(record: ErrorRecord): string {
  return `${record.type}: ${record.message}`;
}
