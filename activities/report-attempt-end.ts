// Translates how an attempt ended into what Temporal must hear. The row has been written before: a failure here is a
// message to the server (repeat, and when) or to the workflow (close, and how).
import { ApplicationFailure, ApplicationFailureCategory, CancelledFailure } from '@temporalio/common';
import type { AttemptEnd } from '../src/domain/attempt.ts';
import type { ErrorRecord } from '../src/domain/errors.ts';
import { BEHIND_FAILURE, HANDED_BACK_FAILURE, NOT_FOUND_FAILURE, REVOKED_FAILURE } from '../src/domain/failure-types.ts';
import type { ActivityReceipt } from '../src/domain/workflow-input.ts';

const HANDED_BACK_DELAY_MS = 200;
const BEHIND_DELAY_MS = 50;
/** The server keeps the last failure of a repeated activity in its mutable state and cuts long ones. */
const MESSAGE_LENGTH_MAX = 1_000;
const STACK_LENGTH_MAX = 2_000;

/** Returns the receipt of an attempt that is a success or nothing to repeat; throws the failure that says the rest. */
export function reportAttemptEnd(end: AttemptEnd): ActivityReceipt {
  switch (end.kind) {
    case 'succeeded':
      return { verdict: 'succeeded' };
    case 'refused':
      return { verdict: 'refused', why: end.why };
    case 'failed':
      throw toFailure(end.error, { nonRetryable: true });
    case 'retry':
      throw toFailure(end.error, { nextRetryDelay: end.delayMs });
    case 'cancelled':
      throw new CancelledFailure('the job was cancelled');
    case 'revoked':
      throw quiet(REVOKED_FAILURE, 'the job was revoked', { nonRetryable: true });
    case 'handedBack':
      throw quiet(HANDED_BACK_FAILURE, `the attempt was handed back: ${end.reason}`, { nextRetryDelay: HANDED_BACK_DELAY_MS });
    case 'behind':
      throw quiet(BEHIND_FAILURE, 'the row knows a newer attempt', { nextRetryDelay: BEHIND_DELAY_MS });
    case 'not_found':
      throw quiet(NOT_FOUND_FAILURE, 'the job has no row', { nonRetryable: true });
  }
}

/** What broke around the attempt is nobody's verdict: whatever it claims to be, the server repeats the attempt. */
export function reportBrokenAttempt(error: unknown): ApplicationFailure {
  const { name, message, code } =
    error instanceof Error ? (error as Error & { code?: unknown }) : { name: 'Error', message: String(error), code: undefined };
  return ApplicationFailure.create({
    type: typeof code === 'string' ? code : name,
    message: message.slice(0, MESSAGE_LENGTH_MAX),
    ...(error instanceof Error ? { cause: error } : {}),
  });
}

function toFailure(error: ErrorRecord, options: { nonRetryable?: true; nextRetryDelay?: number }): ApplicationFailure {
  const failure = ApplicationFailure.create({
    type: error.code ?? error.type,
    message: error.message.slice(0, MESSAGE_LENGTH_MAX),
    ...options,
  });
  // The handler's stack, not this file's, is what the UI shall show.
  failure.stack = error.stack?.slice(0, STACK_LENGTH_MAX) ?? '';
  return failure;
}

/** No failure of the job: the benign category keeps it out of the SDK's warnings and failure metrics. */
function quiet(type: string, message: string, options: { nonRetryable?: true; nextRetryDelay?: number }): ApplicationFailure {
  return ApplicationFailure.create({ type, message, category: ApplicationFailureCategory.BENIGN, ...options });
}
