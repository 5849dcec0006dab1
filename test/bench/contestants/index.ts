// The contestants by name. Loaded one by one: a process has only its own contestant's modules.
import type { Contestant } from './contestant.ts';

export interface Entry {
  /** One line for the report. */
  what: string;
  hasRow: boolean;
  /** What Temporal has of each job; `null`: nothing of its own. @default 'workflow' */
  perJob?: 'workflow' | 'activity' | null;
  load(): Promise<Contestant>;
}

export const CONTESTANTS = {
  'bare-temporal': {
    what: 'a workflow with one activity, no row',
    hasRow: false,
    load: async () => (await import('./bare-temporal.ts')).bareTemporal,
  },
  'hand-written': {
    what: 'a MikroORM entity written by hand: create and flush, start the workflow; in the activity findOne, flush STARTED, flush SUCCESS',
    hasRow: true,
    load: async () => (await import('./hand-written.ts')).handWritten,
  },
  'asyncjob/each': {
    what: 'this library: `MyJob.create()`, then `job.enqueue()`',
    hasRow: true,
    load: async () => (await import('./asyncjob.ts')).createThenEnqueue,
  },
  'asyncjob/activity': {
    what: "this library with `engine: 'activity'`: `MyJob.enqueue()`",
    hasRow: true,
    perJob: 'activity',
    load: async () => (await import('./asyncjob-activity.ts')).asActivities,
  },
  'asyncjob/one-insert': {
    what: 'this library: `MyJob.enqueue()`',
    hasRow: true,
    load: async () => (await import('./asyncjob.ts')).enqueueAtOnce,
  },
  'asyncjob/lane': {
    what: 'this library with `lane`: `MyJob.enqueue()`, many rows per workflow',
    hasRow: true,
    perJob: null,
    load: async () => (await import('./asyncjob-lane.ts')).inLanes,
  },
} satisfies Record<string, Entry>;

export type ContestantName = keyof typeof CONTESTANTS;
export const CONTESTANT_NAMES = Object.keys(CONTESTANTS) as ContestantName[];
