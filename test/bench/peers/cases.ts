// Which cases are measured: those of the peers' plan that keep a row, and this library's ways beside them.

/** A case as the harness takes it (src/plan.mjs there). */
export type Spec = { id: string; peer: string } & Record<string, unknown>;

export interface Case {
  name: string;
  /** As many take some five to ten seconds. */
  jobs: number;
  /** One of the plan, by its id, or ours. */
  spec: string | Spec;
}

const ours = (profile: string): Spec => ({
  id: `asyncjob/${profile}`,
  peer: 'asyncjob',
  profile,
  // As the plan's own cases of Temporal.
  store: 'file',
  serverArgs: ['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
  partitions: 1,
  row: true,
  sync: 'on',
});

export const CASES: readonly Case[] = [
  { name: 'bullmq+row', jobs: 12_000, spec: 'bullmq/aof-everysec+row' },
  { name: 'pgboss+row', jobs: 5_000, spec: 'pgboss/tuned+row' },
  { name: 'celery+django', jobs: 2_000, spec: 'celery+django' },
  { name: 'asyncjob/each', jobs: 250, spec: ours('each') },
  { name: 'asyncjob/activity', jobs: 400, spec: ours('activity') },
  { name: 'asyncjob/lane', jobs: 12_000, spec: ours('lane') },
];
