// What doctor looks at: every check by its stable code, and how a finding looks. Codes are for scripts and alerts and
// are never renamed. The judges (judge-*.ts) make findings of facts.

export const LEVELS = ['ok', 'warning', 'problem'] as const;
/** `problem`: jobs are or will be held up. `warning`: it works, but somebody should know. */
export type Level = (typeof LEVELS)[number];

/** Code → what is looked at, in the order of the report. */
export const CHECKS = {
  settings: 'Settings of this process: each value, and where it came from',
  configuration: 'The configuration file loads',
  application: 'The application opens: its entities, job types and options are right',
  handlers: 'Handlers modules load; which job types have a handler, per queue',
  'handlers.missing': 'Job classes without a handler',
  'handlers.without_table': 'Handlers for classes that are not among the entities',
  'packages.node': 'Node is new enough',
  'packages.asyncjob': 'The application and this command use one copy of asyncjob',
  'packages.temporal': 'All @temporalio/* are of one version',
  'packages.mikro_orm': 'All @mikro-orm/* are of one version; one copy of core and sql',
  'packages.kysely': 'No connections leak: kysely is new enough, or the guard is in place',
  database: 'PostgreSQL answers, and takes writes',
  'database.clock': 'The clocks of PostgreSQL and this machine agree',
  'database.schema': 'Job tables, library tables and the view are as the code needs them',
  temporal: 'Temporal answers and has the namespace',
  'temporal.activities': 'Temporal has standalone activities, where jobs need them',
  'temporal.pollers': 'Nobody else takes tasks from the application’s task queues',
  workers: 'Workers that live, by their registry rows',
  'workers.died': 'Workers that ended without a word in the last day',
  'workers.versions': 'Living workers run the version of this command',
  'workers.ttl': 'Living workers have one time to live (ASYNCJOB_WORKER_TTL)',
  jobs: 'Jobs that are not settled',
  'queues.unserved': 'Every queue with waiting jobs has a worker',
  'jobs.undispatched': 'Committed jobs reach Temporal',
  'jobs.lost': 'Every STARTED job is run by a living worker',
  'jobs.differences': 'Open jobs and their executions in Temporal agree',
  'jobs.handler_missing': 'No job waits for a handler',
  'jobs.long_in_lane': 'Jobs in lanes take seconds',
} as const satisfies Record<string, string>;
export type CheckCode = keyof typeof CHECKS;
export const CHECK_CODES = Object.keys(CHECKS) as CheckCode[];

export interface Finding {
  level: Level;
  code: CheckCode;
  /** One sentence, with values. */
  found: string;
  /** More lines of it. */
  details?: string[];
  /** What to do. */
  advice?: string;
  /** The same for machines. */
  values?: Record<string, unknown>;
}

export function ok(code: CheckCode, found: string, more: Partial<Finding> = {}): Finding {
  return { level: 'ok', code, found, ...more };
}

export function warning(code: CheckCode, found: string, advice: string, more: Partial<Finding> = {}): Finding {
  return { level: 'warning', code, found, advice, ...more };
}

export function problem(code: CheckCode, found: string, advice: string, more: Partial<Finding> = {}): Finding {
  return { level: 'problem', code, found, advice, ...more };
}
