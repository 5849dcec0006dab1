// `npm run bench:reconciler -- --rows 100000`: what comparing many open rows with Temporal costs when all is well, and how
// long it takes when Temporal has lost everything. One worker, which runs nothing: the jobs are due tomorrow.
import { parseArgs } from 'node:util';
import { setTimeout as pause } from 'node:timers/promises';
import { AsyncJobs } from 'asyncjob';
import pg from 'pg';
import { findTemporalCli, startPostgres, startTemporal } from '../../src/dev/index.ts';
import config from './cpu-app/asyncjob.config.ts';
import { Compute } from './cpu-app/compute.ts';

const { values } = parseArgs({ options: { rows: { type: 'string', default: '20000' }, seconds: { type: 'string', default: '60' } } });
const rows = Number(values.rows);
const seconds = Number(values.seconds);
const CALLS = ['listWorkflowExecutions', 'describeWorkflowExecution', 'startWorkflowExecution', 'terminateWorkflowExecution'] as const;

const { path: cli } = await findTemporalCli();
const postgres = await startPostgres();
let temporal = await startTemporal({ cli, ui: false });
process.env['DATABASE_URL'] = postgres.url;
process.env['TEMPORAL_ADDRESS'] = temporal.address;
process.env['ASYNCJOB_LOG_LEVEL'] = 'error';
const db = new pg.Pool({ connectionString: postgres.url, max: 2 });
try {
  await using app = await AsyncJobs.connect(config);
  await app.orm.schema.create();
  const counted = countCalls(app.temporal.workflowService as unknown as Record<string, (...args: unknown[]) => unknown>);

  const runAt = new Date(Date.now() + 24 * 3_600_000);
  const enqueuedAt = performance.now();
  await Compute.enqueueMany(
    Array.from({ length: rows }, () => ({ hashes: 1 })),
    { runAt },
  );
  console.log(`${rows} jobs enqueued and dispatched in ${since(enqueuedAt)} s`);
  await db.query("update compute set enqueued_at = now() - interval '1 hour'");
  await db.query('vacuum analyze compute');

  await using worker = await app.worker({ signals: false });
  const run = worker.run();
  await pause(5_000);

  counted.reset();
  const [statements, cpu] = [await transactions(), process.cpuUsage()];
  await pause(seconds * 1_000);
  const used = process.cpuUsage(cpu);
  const perMinute = (count: number) => Math.round((count * 60) / seconds);
  console.log(
    `all is well, per minute: ${JSON.stringify(counted.perMinute(perMinute))}, ${perMinute((await transactions()) - statements)} transactions, CPU of the worker ${perMinute((used.user + used.system) / 1_000)} ms`,
  );

  const { port } = temporal;
  await temporal.kill9();
  temporal = await startTemporal({ cli, ui: false, port });
  counted.reset();
  const lostAt = performance.now();
  const rerun = async () =>
    (await db.query<{ count: number }>('select count(*)::int from compute where run = 2 and run_id is not null')).rows[0]!.count;
  let seen = 0;
  for (let done = 0; done < rows; await pause(500)) {
    done = await rerun();
    if (seen === 0 && done > 0) console.log(`Temporal lost everything: the first jobs are back after ${since(lostAt)} s`);
    seen = done;
  }
  const calls = counted.perMinute((count) => Math.round((count * 1_000) / (performance.now() - lostAt)));
  console.log(`all ${rows} after ${since(lostAt)} s; calls per second meanwhile: ${JSON.stringify(calls)}`);
  await worker.shutdown();
  await run;
} finally {
  await db.end();
  await temporal.stop();
  await postgres.stop();
}

async function transactions(): Promise<number> {
  const { rows: found } = await db.query<{ sum: number }>(
    'select sum(xact_commit)::int as sum from pg_stat_database where datname = current_database()',
  );
  return found[0]!.sum;
}

function since(moment: number): string {
  return ((performance.now() - moment) / 1_000).toFixed(1);
}

/** Counts what this process asks of Temporal, besides the polls of its worker. */
function countCalls(service: Record<string, (...args: unknown[]) => unknown>) {
  const counts = new Map<string, number>();
  for (const name of CALLS) {
    const call = service[name]!;
    service[name] = (...args) => {
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return call.apply(service, args);
    };
  }
  return {
    reset: () => counts.clear(),
    perMinute: (scale: (count: number) => number) => Object.fromEntries([...counts].map(([name, count]) => [name, scale(count)])),
  };
}
