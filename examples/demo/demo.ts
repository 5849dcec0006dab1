// `npm run demo`: real jobs on real servers, seen from outside. The example itself is jobs.ts, handlers/ and
// asyncjob.config.ts; this file plays the application that enqueues jobs, and the person who watches them.
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { AsyncJobs, AsyncJobView, type Status } from 'asyncjob';
import config from './asyncjob.config.ts';
import { createJobs, type Plan } from './plan.ts';
import { importSales } from './sale.ts';
import { check } from './stage/check.ts';
import { LiveView } from './stage/live-view.ts';
import { say } from './stage/say.ts';
import { startServers, startWorker, type WorkerProcess } from './stage/servers.ts';
import { showRows } from './stage/show-rows.ts';

const TIME_MAX_MS = 90_000;
const ENDS: Status[] = ['SUCCESS', 'FAILURE', 'REVOKED'];
const QUERIES = [
  'select folder, status, attempt, file_count, byte_count, left(digest, 8) digest\n  from hash_folder order by created_at',
  'select year, status, attempt, failures, result\n  from render_report order by created_at',
  'select job_type, attempt, outcome, error_message\n  from async_job_attempt order by ended_at',
];

const { keep } = parseArgs({ options: { keep: { type: 'boolean', default: false } } }).values;
const interrupted = interruption();
try {
  process.exitCode = await demo();
} catch (error) {
  say(interrupted.aborted ? 'Interrupted.' : `The demo failed: ${error instanceof Error ? error.message : error}`);
  process.exitCode = interrupted.aborted ? 130 : 1;
}

async function demo(): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const uiUrl = await startServers(stack);
  interrupted.throwIfAborted();

  const app = stack.use(await AsyncJobs.connect(config));
  await app.orm.schema.create();
  await importSales(app.orm.em, '2024-01-01', '2025-11-30');
  const worker = await startWorker(stack);
  stack.defer(() => say('\nStopping the worker and the servers …'));

  const plan = await createJobs(app);
  for (const { job } of plan.jobs) await job.enqueue();
  await watch(app, plan, worker);

  say('\nThe rows as they stand in the database:');
  for (const query of QUERIES) await showRows(app.orm.em, query);

  say('\nDid each end as it should, and does Temporal say the same?\n');
  const wrong = await check(app, plan.jobs);
  const { workflowId } = plan.jobs.at(-1)!.job;
  say(`
Temporal UI     ${uiUrl}
One workflow    ${uiUrl}/namespaces/default/workflows/${encodeURIComponent(workflowId!)}`);

  if (keep) {
    say(`Worker's log    tail -f ${worker.logFile}
Database        psql ${process.env['DATABASE_URL']}
Enqueue a job   insert into hash_folder (folder, status) values ('src', 'PENDING');

Everything runs until you press Ctrl-C.`);
    await untilInterrupted();
  } else {
    say(`
npm run demo -- --keep leaves the servers running, to look around in Temporal's UI and the database.
The code is in examples/demo: begin with jobs.ts and handlers/. The reports are in examples/demo/out.`);
  }
  return wrong === 0 ? 0 : 1;
}

/** Shows the jobs until all have ended, and intervenes where the plan says so. */
async function watch(app: AsyncJobs, { jobs, interventions }: Plan, worker: WorkerProcess): Promise<void> {
  const subjects = new Map(jobs.map(({ job, subject }) => [job.id, subject]));
  const view = new LiveView(subjects);
  const waiting = new Set(interventions);
  const deadline = Date.now() + TIME_MAX_MS;
  try {
    for (;;) {
      const rows = await app.orm.em.fork().find(AsyncJobView, { id: { $in: [...subjects.keys()] } }, { orderBy: { id: 'asc' } });
      view.show(rows);
      for (const intervention of waiting) {
        if (!rows.some((row) => row.id === intervention.job.id && intervention.when(row))) continue;
        waiting.delete(intervention);
        view.say(`→ ${intervention.what}`);
        await intervention.act();
      }
      if (rows.every(({ status }) => ENDS.includes(status))) return;
      const ended = worker.ended();
      if (ended !== null) throw new Error(`the worker ended: ${ended}`);
      if (Date.now() > deadline) return view.say(`Not all have ended after ${TIME_MAX_MS / 1_000} s.`);
      await pause(150, undefined, { signal: interrupted });
    }
  } finally {
    view.end();
  }
}

async function untilInterrupted(): Promise<void> {
  // A timer, because a promise alone does not keep a process alive.
  while (!interrupted.aborted) await pause(60_000, undefined, { signal: interrupted }).catch(() => undefined);
}

/** Aborts at the first signal to end; the second one ends at once, and the servers follow by themselves. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort();
    });
  }
  return controller.signal;
}
