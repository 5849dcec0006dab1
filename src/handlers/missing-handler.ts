// What a row says while it waits for a worker that knows its class.
import { AsyncJobError, toErrorRecord, type ErrorRecord } from '../domain/errors.ts';
import type { HandlerTable } from './handler-table.ts';

/** After so long a job whose handler is missing is tried again. */
export const MISSING_HANDLER_RETRY_MS = 10_000;

export function missingHandlerError(handlers: HandlerTable, { jobType, queue }: { jobType: string; queue: string }): ErrorRecord {
  const known = handlers.handled().map((each) => each.jobType);
  const message = `no handler for '${jobType}' on queue '${queue}' (this worker knows: ${known.join(', ') || 'none'}). Register it in a handlers module, or start the worker with --queue of the right one.`;
  return toErrorRecord(new AsyncJobError('handler.missing', message), true);
}
