// `asyncjob status`: how many jobs there are in which status; `asyncjob status ID`: one of them in full. From the database
// alone, so that it works without Temporal and without a worker.
import type { Command } from 'commander';
import type { JobCounts } from '../inspect/job-counts.ts';
import type { CliDeps } from './cli-deps.ts';
import { loadApplication } from './load-application.ts';
import { printCounts } from './print-counts.ts';
import { printJob } from './print-job.ts';
import type { SharedOptions } from './program.ts';
import { withQuietStdout } from './quiet-stdout.ts';
import { screenOf } from './terminal.ts';

interface StatusOptions extends SharedOptions {
  json?: boolean;
}

/** Counting many millions of rows takes its time. */
const STATEMENT_TIMEOUT_MS = 20_000;

export function addStatusCommand(program: Command, deps: CliDeps): void {
  program
    .command('status')
    .description('Count jobs by type, queue and status; or, given an id, show one job in full. Changes nothing.')
    .argument('[id]', "A job's id, or its workflow id in Temporal")
    .option('--json', 'Print one JSON document')
    .addHelpText('after', '\nTEMPORAL_UI (the address of Temporal’s UI) makes a link of the workflow.')
    .action((id: string | undefined, _options: unknown, command: Command) => runStatus(id, command.optsWithGlobals<StatusOptions>(), deps));
}

async function runStatus(id: string | undefined, options: StatusOptions, deps: CliDeps): Promise<void> {
  const text = await withQuietStdout(() => (id === undefined ? showCounts(options, deps) : showJob(id, options, deps)));
  deps.write.out(text);
}

async function open(options: StatusOptions, deps: CliDeps) {
  const { loaded, settings } = await loadApplication(options, deps);
  const { openInstallation } = await import('../inspect/installation.ts');
  return { loaded, settings, installation: await openInstallation(loaded, settings, STATEMENT_TIMEOUT_MS) };
}

async function showCounts(options: StatusOptions, deps: CliDeps): Promise<string> {
  const { installation } = await open(options, deps);
  await using opened = installation;
  const { countJobs } = await import('../inspect/job-counts.ts');
  const { app, database, tables } = opened;
  const rows = await countJobs(database, tables);
  if (options.json) return toJson({ application: app.name, database: database.where, jobs: rows, ...totalsOf(rows) });
  return printCounts(rows, { application: app.name, database: database.where }, screenOf(process.stdout));
}

function totalsOf(rows: readonly JobCounts[]): object {
  const oldest = (ages: (number | null)[]) => ages.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a), null);
  return {
    waiting: rows.reduce((sum, { due }) => sum + due, 0),
    oldestWaitingMs: oldest(rows.map(({ oldestDueMs }) => oldestDueMs)),
    undispatched: rows.reduce((sum, { undispatched }) => sum + undispatched, 0),
    oldestUndispatchedMs: oldest(rows.map(({ oldestUndispatchedMs }) => oldestUndispatchedMs)),
  };
}

async function showJob(id: string, options: StatusOptions, deps: CliDeps): Promise<string> {
  const { installation, loaded, settings } = await open(options, deps);
  await using opened = installation;
  const { reportJob } = await import('../inspect/job-report.ts');
  const target = settings.engine === 'inline' ? null : await deps.temporalTarget(loaded.config);
  const report = await reportJob(
    opened,
    id,
    target && { address: target.address, namespace: target.namespace, ui: uiOf(target.address, deps.env) },
  );
  return options.json ? toJson(report) : printJob(report, screenOf(process.stdout));
}

function uiOf(address: string, env: CliDeps['env']): string | null {
  return env['TEMPORAL_UI'] || (/\.tmprl\.cloud(:\d+)?$/.test(address) ? 'https://cloud.temporal.io' : null);
}

function toJson(document: object): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
