// Who blocks the main loop, for people and as fields of a log line.
import type { AttemptRef } from '../../domain/ports.ts';
import type { Blocking } from './blocking-job.ts';

export interface BlockDescription {
  /** After "the event loop is blocked". */
  by: string;
  fields: object;
}

/** `blocking` null: it could not be found out, so that everybody at work may be the one. */
export function describeBlock(blocking: Blocking | null, atWork: readonly AttemptRef[]): BlockDescription {
  if (blocking?.ref) {
    const { jobType, id, run, attempt } = blocking.ref;
    return { by: `by ${jobType} ${id}${place(blocking)}`, fields: { jobType, jobId: id, run, attempt, at: blocking.at } };
  }
  if (blocking) return { by: `by code outside of jobs${place(blocking)}`, fields: { at: blocking.at } };
  if (atWork.length === 0) return { by: 'while no job runs', fields: {} };
  const jobs = atWork.map(({ jobType, id }) => `${jobType} ${id}`);
  return { by: `by ${jobs.length === 1 ? '' : 'one of '}${jobs.join(', ')}`, fields: { jobs } };
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function place({ at: [top] }: Blocking): string {
  return top === undefined ? '' : ` in ${top}`;
}
