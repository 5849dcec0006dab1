// The contestants by name. Loaded one by one: a process has only its own contestant's modules.
import type { Contestant } from './contestant.ts';

export interface Entry {
  /** One line for the report. */
  what: string;
  hasRow: boolean;
  /** What Temporal has of each job; `null`: nothing of its own. @default 'workflow' */
  perJob?: 'workflow' | 'activity' | null;
  /** As many take some ten or twenty seconds at once on two processors. */
  jobs: number;
  load(): Promise<Contestant>;
}

export const CONTESTANTS = {
  'bare-temporal': {
    what: 'a workflow with one activity, no row',
    hasRow: false,
    jobs: 240,
    load: async () => (await import('./bare-temporal.ts')).bareTemporal,
  },
  'hand-written': {
    what: 'a MikroORM entity written by hand: create and flush, start the workflow; in the activity findOne, flush STARTED, flush SUCCESS',
    hasRow: true,
    jobs: 240,
    load: async () => (await import('./hand-written.ts')).handWritten,
  },
  'asyncjob/each': {
    what: 'this library, a workflow per job: `MyJob.enqueue()`',
    hasRow: true,
    jobs: 240,
    load: async () => (await import('./asyncjob.ts')).asWorkflows,
  },
  'asyncjob/created-before': {
    what: 'this library, a workflow per job: `MyJob.create()`, then `job.enqueue()`',
    hasRow: true,
    jobs: 240,
    load: async () => (await import('./asyncjob.ts')).createdBefore,
  },
  'asyncjob/activity': {
    what: "this library with `engine: 'activity'`: `MyJob.enqueue()`",
    hasRow: true,
    perJob: 'activity',
    jobs: 400,
    load: async () => (await import('./asyncjob.ts')).asActivities,
  },
  'asyncjob/lane': {
    what: 'this library with `lane`: `MyJob.enqueue()`, many rows per workflow',
    hasRow: true,
    perJob: null,
    jobs: 10_000,
    load: async () => (await import('./asyncjob.ts')).inLanes,
  },
} satisfies Record<string, Entry>;

export type ContestantName = keyof typeof CONTESTANTS;
export const CONTESTANT_NAMES = Object.keys(CONTESTANTS) as ContestantName[];
/** The ways of this library through Temporal. */
export const MODES = ['asyncjob/each', 'asyncjob/activity', 'asyncjob/lane'] as const satisfies ContestantName[];

export function entryOf(name: ContestantName): Entry {
  return CONTESTANTS[name];
}
