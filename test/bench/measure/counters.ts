// Counts that do not depend on the machine: statements of the application's role (pg_stat_statements), calls that reach
// Temporal's frontend and its store and what Temporal Cloud would bill (the server's own metrics), sizes of what it keeps.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type pg from 'pg';

export interface CounterSources {
  /** Connected as a superuser to a database with pg_stat_statements. */
  admin: pg.Pool;
  database: string;
  role: string;
  temporalPid: number;
  client: Client;
}

/** What was counted: name → how often. */
export interface Counts {
  statements: Map<string, number>;
  rpcs: Map<string, number>;
  storeCalls: Map<string, number>;
  /** Temporal Cloud bills these. The server's own metric knows no standalone activities yet. */
  actions: Map<string, number>;
}

/** The server publishes its metrics once a second. */
const METRICS_DELAY_MS = 1_150;
/** Asked by the bench itself, or by the SDK or the reconciler for the sake of the whole process. */
const NOT_OF_JOBS = [
  'CountWorkflowExecutions',
  'CountActivityExecutions',
  'ListWorkflowExecutions',
  'ListActivityExecutions',
  'DescribeNamespace',
  'RecordWorkerHeartbeat',
];
const EXECUTIONS_MAX = 50;

/** Counts from now on; the returned function says how many. Both wait for the last second's events. */
export async function startCounting(sources: CounterSources): Promise<() => Promise<Counts>> {
  const before = await readCounts(sources);
  return async () => {
    const after = await readCounts(sources);
    const since = (kind: keyof Counts) =>
      new Map(
        [...after[kind]].map(([name, count]) => [name, count - (before[kind].get(name) ?? 0)] as const).filter(([, count]) => count > 0),
      );
    return { statements: since('statements'), rpcs: since('rpcs'), storeCalls: since('storeCalls'), actions: since('actions') };
  };
}

async function readCounts(sources: CounterSources): Promise<Counts> {
  await sleep(METRICS_DELAY_MS);
  const [statements, metrics] = await Promise.all([readStatements(sources), readMetrics(sources.temporalPid)]);
  const rpcs = sumBy('operation', metrics, 'service_requests', 'frontend');
  const actions = sumBy('action_type', metrics, 'action', 'frontend');
  const activities = rpcs.get('StartActivityExecution');
  if (activities !== undefined) actions.set('grpc_StartActivityExecution', activities);
  return {
    statements,
    rpcs: new Map([...rpcs].filter(([name]) => !NOT_OF_JOBS.includes(name))),
    storeCalls: sumBy('operation', metrics, 'persistence_requests', 'history', 'matching'),
    actions,
  };
}

async function readStatements({ admin, database, role }: CounterSources): Promise<Map<string, number>> {
  const { rows } = await admin.query<{ query: string; calls: string }>(
    `select s.query, sum(s.calls) as calls from pg_stat_statements s
       join pg_database d on d.oid = s.dbid join pg_roles r on r.oid = s.userid
      where d.datname = $1 and r.rolname = $2 group by s.query`,
    [database, role],
  );
  return new Map(rows.map(({ query, calls }) => [query, Number(calls)]));
}

/** The server's metrics port is chosen by who starts it; its command line tells. */
async function readMetrics(pid: number): Promise<string> {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const port = words[words.indexOf('--metrics-port') + 1];
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

function sumBy(label: string, metrics: string, metric: string, ...services: string[]): Map<string, number> {
  const valueOf = (line: string, name: string) => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? '';
  const sums = new Map<string, number>();
  for (const line of metrics.split('\n')) {
    if (!line.startsWith(`${metric}{`) || !line.includes('namespace="default"') || !services.includes(valueOf(line, 'service_name')))
      continue;
    const name = valueOf(line, label);
    sums.set(name, (sums.get(name) ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1)));
  }
  return sums;
}

/** Bytes of histories, and of the state of standalone activities: the average of some of the newest. */
export async function averageExecutionBytes(client: Client, kind: 'workflow' | 'activity'): Promise<number> {
  const sizes: number[] = [];
  const executions = kind === 'workflow' ? client.workflow.list({ pageSize: EXECUTIONS_MAX }) : client.activity.list('');
  for await (const execution of executions) {
    sizes.push(
      'workflowId' in execution ? await workflowBytes(client, execution.workflowId) : await activityBytes(client, execution.activityId),
    );
    if (sizes.length === EXECUTIONS_MAX) break;
  }
  return sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
}

// The list has sizes of closed executions only.
async function workflowBytes(client: Client, workflowId: string): Promise<number> {
  return (await client.workflow.getHandle(workflowId).describe()).historySize ?? 0;
}

async function activityBytes(client: Client, activityId: string): Promise<number> {
  const { rawInfo } = await client.activity.getHandle(activityId).describe();
  return Number(rawInfo.stateSizeBytes ?? 0);
}

export const total = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((sum, count) => sum + count, 0);
