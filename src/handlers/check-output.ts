// What a handler returned, checked before anything is written: it must fit into a jsonb column.
import { AsyncJobError } from '../domain/errors.ts';

/** Larger outputs belong into own columns or files. In characters of JSON. */
export const OUTPUT_LENGTH_MAX = 4 * 1024 * 1024;

/** @throws AsyncJobError `handler.output_invalid` */
export function checkOutput(output: unknown, jobType: string): void {
  if (output === undefined || output === null) return;
  const invalid = (why: string, cause?: unknown) =>
    new AsyncJobError(
      'handler.output_invalid',
      `the handler of '${jobType}' returned ${why}. Return plain JSON data, or keep it in an own column.`,
      { cause },
    );
  if (['function', 'symbol', 'bigint'].includes(typeof output)) throw invalid(`a ${typeof output}`);
  if (typeof output === 'number' && !Number.isFinite(output)) throw invalid(String(output));
  let json: string | undefined;
  try {
    json = JSON.stringify(output);
  } catch (error) {
    throw invalid(`what is not JSON (${(error as Error).message.split('\n')[0]})`, error);
  }
  if (json === undefined) throw invalid('what is not JSON');
  if (json.length > OUTPUT_LENGTH_MAX) throw invalid(`${json.length} characters of JSON, more than ${OUTPUT_LENGTH_MAX}`);
}
