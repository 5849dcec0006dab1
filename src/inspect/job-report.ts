// One job in full: its row, its attempts, its worker, and where Temporal shows it. From the database alone.
import { AsyncJobError, type ErrorRecord } from '../domain/errors.ts';
import { parseWorkflowId, taskQueueOf } from '../domain/identity.ts';
import type { JobPolicy } from '../domain/job-policy.ts';
import type { Status } from '../domain/lifecycle.ts';
import type { AttemptOutcome } from '../entity/async-job-attempt.ts';
import { BASE_PROPERTIES } from '../entity/base-schema.ts';
import type { JobTable } from '../mirror/job-table.ts';
import type { Row } from './database.ts';
import type { WorkerFact } from './facts.ts';
import type { Installation } from './installation.ts';
import { attemptsQuery, jobQuery, workerStateQuery } from './queries.ts';

export interface JobReport {
  jobType: string;
  id: string;
  status: Status;
  queue: string;
  /** Its workflow is a lane, which it shares with others. */
  inLanes: boolean;
  priority: number | null;
  run: number;
  attempt: number;
  failures: number;
  crashes: number;
  maximumAttempts: number;
  createdAt: Date;
  updatedAt: Date;
  enqueuedAt: Date | null;
  runAt: Date | null;
  startedAt: Date | null;
  endedAt: Date | null;
  nextAttemptAt: Date | null;
  progress: number | null;
  progressMessage: string | null;
  checkpoint: unknown;
  output: unknown;
  errorMessage: string | null;
  error: ErrorRecord | null;
  revokeRequestedAt: Date | null;
  revokeReason: string | null;
  revokedBy: string | null;
  worker: { id: string; state: WorkerFact['state'] | 'unknown'; seenMsAgo: number | null } | null;
  /** The class's own columns. */
  own: Record<string, unknown>;
  attempts: AttemptReport[];
  temporal: TemporalPlace | null;
  /** By the database's clock. */
  now: Date;
}

/** An attempt that did not simply succeed. */
export interface AttemptReport {
  run: number;
  attempt: number;
  outcome: AttemptOutcome;
  workerId: string | null;
  startedAt: Date | null;
  endedAt: Date | null;
  errorMessage: string | null;
}

/** Where the run's workflow is; `null` before its dispatch, and with the inline engine. */
export interface TemporalPlace {
  address: string;
  namespace: string;
  taskQueue: string;
  workflowId: string;
  runId: string;
  /** Of Temporal's UI, when it is known where that is. */
  link: string | null;
}

export interface TemporalTarget {
  address: string;
  namespace: string;
  /** The address of Temporal's UI. */
  ui: string | null;
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * The job of an id, or of a workflow id (`MyJob/<id>/<run>`).
 *
 * @throws AsyncJobError `job.not_found`, `database.unavailable`, `database.schema`
 */
export async function reportJob(installation: Installation, wanted: string, temporal: TemporalTarget | null): Promise<JobReport> {
  const { tables, database, jobTypes, library, app } = installation;
  const workflow = parseWorkflowId(app.name, wanted);
  const id = workflow?.id ?? wanted;
  if (!UUID.test(id))
    throw new AsyncJobError(
      'job.not_found',
      `'${wanted}' is no job's id. Give the id of a row (a UUID), or a workflow id (MyJob/<id>/<run>).`,
    );
  const found = await findRow(installation, id, workflow?.jobType);
  if (found === null) {
    const names = tables.map(({ jobType }) => jobType).sort();
    const looked = names.length === 0 ? 'no job class is among the entities' : `looked among ${names.join(', ')}`;
    throw new AsyncJobError('job.not_found', `no job has the id ${wanted} in ${database.where} (${looked}).`);
  }
  const { table, row } = found;
  const value = (property: string) => row[table.columns[property]?.slice(1, -1) ?? ''] ?? null;
  const workerId = value('workerId') as string | null;
  const [attempts, worker] = await Promise.all([
    database.query(attemptsQuery(library), [table.jobType, id]),
    workerId === null ? [] : database.query(workerStateQuery(library), [workerId]),
  ]);
  const policy = jobTypes.find(({ jobType }) => jobType === table.jobType)!.policy;
  return {
    ...lifecycleOf(value, policy),
    jobType: table.jobType,
    inLanes: table.lane !== null,
    own: ownOf(table, value),
    worker: workerId === null ? null : toWorker(workerId, worker[0]),
    attempts: attempts.map(toAttempt),
    temporal: temporal === null ? null : placeOf(value, temporal, app.name),
    now: toDate(row['@now'])!,
  };
}

async function findRow({ tables, database }: Installation, id: string, jobType?: string): Promise<{ table: JobTable; row: Row } | null> {
  const asked = tables.filter((table) => jobType === undefined || table.jobType === jobType);
  const answers = await Promise.all(asked.map(async (table) => ({ table, row: (await database.query(jobQuery(table), [id]))[0] })));
  const hit = answers.find(({ row }) => row !== undefined);
  return hit ? { table: hit.table, row: hit.row! } : null;
}

type Value = (property: string) => unknown;

function lifecycleOf(
  value: Value,
  policy: JobPolicy,
): Omit<JobReport, 'jobType' | 'inLanes' | 'own' | 'worker' | 'attempts' | 'temporal' | 'now'> {
  const text = (property: string) => value(property) as string | null;
  const time = (property: string) => toDate(value(property));
  return {
    id: String(value('id')),
    status: value('status') as Status,
    queue: String(value('queue')),
    priority: value('priority') as number | null,
    run: Number(value('run')),
    attempt: Number(value('attempt')),
    failures: Number(value('failures')),
    crashes: Number(value('crashes')),
    maximumAttempts: policy.retry.maximumAttempts,
    createdAt: time('createdAt')!,
    updatedAt: time('updatedAt')!,
    enqueuedAt: time('enqueuedAt'),
    runAt: time('runAt'),
    startedAt: time('startedAt'),
    endedAt: time('endedAt'),
    nextAttemptAt: time('nextAttemptAt'),
    progress: value('progress') as number | null,
    progressMessage: text('progressMessage'),
    checkpoint: value('checkpoint'),
    output: value('output'),
    errorMessage: text('errorMessage'),
    error: value('error') as ErrorRecord | null,
    revokeRequestedAt: time('revokeRequestedAt'),
    revokeReason: text('revokeReason'),
    revokedBy: text('revokedBy'),
  };
}

function ownOf(table: JobTable, value: Value): Record<string, unknown> {
  const own = Object.keys(table.columns).filter((property) => !(BASE_PROPERTIES as string[]).includes(property));
  return Object.fromEntries(own.map((property) => [property, value(property)]));
}

function toWorker(id: string, row: Row | undefined): JobReport['worker'] {
  if (row === undefined) return { id, state: 'unknown', seenMsAgo: null };
  return { id, state: row['state'] as WorkerFact['state'], seenMsAgo: Number(row['seen_ms_ago']) };
}

function toAttempt(row: Row): AttemptReport {
  return {
    run: Number(row['run']),
    attempt: Number(row['attempt']),
    outcome: row['outcome'] as AttemptOutcome,
    workerId: row['worker_id'] as string | null,
    startedAt: toDate(row['started_at']),
    endedAt: toDate(row['ended_at']),
    errorMessage: row['error_message'] as string | null,
  };
}

function placeOf(value: Value, { address, namespace, ui }: TemporalTarget, application: string): TemporalPlace | null {
  const workflowId = value('workflowId');
  const runId = value('runId');
  if (typeof workflowId !== 'string' || typeof runId !== 'string') return null;
  const path = [namespace, 'workflows', encodeURIComponent(workflowId), runId, 'history'].join('/');
  return {
    address,
    namespace,
    taskQueue: taskQueueOf(application, String(value('queue'))),
    workflowId,
    runId,
    link: ui === null ? null : `${ui.replace(/\/+$/, '')}/namespaces/${path}`,
  };
}

/** Drivers give dates as such, or as PostgreSQL writes them. */
function toDate(value: unknown): Date | null {
  return value === null || value === undefined ? null : new Date(value as string | Date);
}
