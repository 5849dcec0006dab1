// Counts that do not depend on the machine: statements of the application's role (pg_stat_statements), calls that reach
// Temporal's frontend and its store (the server's own metrics), events in the histories.
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

/** What was counted so far: name → how often. */
export interface Counts {
  statements: Map<string, number>;
  rpcs: Map<string, number>;
  storeCalls: Map<string, number>;
}

export interface CountsPerJob {
  /** Statements that at least every second job sends, BEGIN and COMMIT included. */
  statements: number;
  statementsByVerb: Record<string, number>;
  /** Calls to Temporal that are no polls. */
  rpcs: number;
  rpcsByName: Record<string, number>;
  polls: number;
  /** What Temporal asked of its store for these jobs. */
  temporalStoreCalls: number;
  historyEvents: number;
}

/** The server publishes its metrics once a second. */
const METRICS_DELAY_MS = 1_150;
const HISTORIES_MAX = 200;
/** Asked by the bench itself. */
const NOT_OF_JOBS = ['CountWorkflowExecutions', 'ListWorkflowExecutions', 'DescribeNamespace', 'RecordWorkerHeartbeat'];

/** Only when nothing goes on: the last second's events are waited for. */
export async function readCounts(sources: CounterSources): Promise<Counts> {
  await sleep(METRICS_DELAY_MS);
  const [statements, metrics] = await Promise.all([readStatements(sources), readMetrics(sources.temporalPid)]);
  return {
    statements,
    rpcs: sumByOperation(metrics, 'service_requests', 'frontend'),
    storeCalls: sumByOperation(metrics, 'persistence_requests', 'history', 'matching'),
  };
}

export async function countsPerJob(sources: CounterSources, before: Counts, after: Counts, jobs: number): Promise<CountsPerJob> {
  const perJob = (kind: keyof Counts) =>
    [...after[kind]].map(([name, calls]) => [name, (calls - (before[kind].get(name) ?? 0)) / jobs] as const);
  const statements = perJob('statements').filter(([, calls]) => calls >= 0.5);
  const rpcs = perJob('rpcs').filter(([name, calls]) => calls > 0 && !NOT_OF_JOBS.includes(name));
  const calls = rpcs.filter(([name]) => !name.startsWith('Poll'));
  return {
    statements: total(statements),
    statementsByVerb: Object.fromEntries(groupSums(statements, verbOf)),
    rpcs: total(calls),
    rpcsByName: Object.fromEntries(calls),
    polls: total(rpcs) - total(calls),
    temporalStoreCalls: total(perJob('storeCalls')),
    historyEvents: await averageHistoryLength(sources.client),
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

function sumByOperation(metrics: string, metric: string, ...services: string[]): Map<string, number> {
  const lines = metrics.split('\n').filter((line) => line.startsWith(`${metric}{`) && line.includes('namespace="default"'));
  const label = (line: string, name: string) => new RegExp(`${name}="([^"]*)"`).exec(line)?.[1] ?? '';
  return groupSums(
    lines
      .filter((line) => services.includes(label(line, 'service_name')))
      .map((line) => [label(line, 'operation'), Number(line.slice(line.lastIndexOf(' ') + 1))] as const),
    (operation) => operation,
  );
}

/** A statement that begins with a CTE is an update in all contestants. */
function verbOf(statement: string): string {
  const verb = /^\s*(\w+)/.exec(statement)?.[1]?.toLowerCase() ?? statement;
  return verb === 'with' ? 'update' : verb;
}

async function averageHistoryLength(client: Client): Promise<number> {
  const lengths: number[] = [];
  for await (const { historyLength } of client.workflow.list({ pageSize: HISTORIES_MAX })) {
    lengths.push(historyLength);
    if (lengths.length === HISTORIES_MAX) break;
  }
  return lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
}

function groupSums(entries: Iterable<readonly [string, number]>, keyOf: (name: string) => string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [name, value] of entries) sums.set(keyOf(name), (sums.get(keyOf(name)) ?? 0) + value);
  return sums;
}

const total = (entries: readonly (readonly [string, number])[]): number => entries.reduce((sum, [, value]) => sum + value, 0);
