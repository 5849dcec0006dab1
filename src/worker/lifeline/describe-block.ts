// Who blocks the main loop, for people and as fields of a log line.
import type { AttemptRef } from '../../domain/ports.ts';
import type { Blocking } from './blocking-job.ts';

export interface BlockDescription {
  /** After "the event loop is blocked". */
  by: string;
  fields: object;
}

/** Nobody is accused who was not found. */
export function describeBlock(blocking: Blocking, atWork: readonly AttemptRef[]): BlockDescription {
  if (blocking.kind === 'debugger') return { by: 'by a debugger that has paused it', fields: {} };
  if (blocking.kind === 'unknown') {
    const who = 'by whom could not be found out (as for a native call, such as execFileSync)';
    if (atWork.length === 0) return { by: `while no job runs; ${who}`, fields: {} };
    return { by: `while ${namesOf(atWork)} ${atWork.length === 1 ? 'runs' : 'run'}; ${who}`, fields: { jobs: atWork.map(nameOf) } };
  }
  const { ref, at } = blocking;
  const where = at[0] === undefined ? '' : ` in ${at[0]}`;
  if (ref === null) return { by: `by code outside of jobs${where}`, fields: { at } };
  const { jobType, id, run, attempt } = ref;
  return { by: `by ${nameOf(ref)}${where}`, fields: { jobType, jobId: id, run, attempt, at } };
}

export function namesOf(refs: readonly AttemptRef[]): string {
  return refs.map(nameOf).join(', ');
}

export function nameOf({ jobType, id }: AttemptRef): string {
  return `${jobType} ${id}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
