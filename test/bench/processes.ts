// `npm run bench:processes`: handlers that compute, in one worker process and in one per processor, in turn. Prints the
// seconds that each needed for the same jobs, and the ratio within each round.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { AsyncJobs } from 'asyncjob';
import { findTemporalCli, startPostgres, startTemporal } from '../../src/dev/index.ts';
import config from './cpu-app/asyncjob.config.ts';
import { Compute } from './cpu-app/compute.ts';

const ROUNDS = 3;
const JOBS = 16;
const HASHES = 250_000; // some tenths of a second
const processors = availableParallelism();

const { path: cli } = await findTemporalCli();
const [postgres, temporal] = await Promise.all([startPostgres(), startTemporal({ cli, ui: false })]);
process.env['DATABASE_URL'] = postgres.url;
process.env['TEMPORAL_ADDRESS'] = temporal.address;
process.env['ASYNCJOB_LOG_LEVEL'] = 'warn';
try {
  await using app = await AsyncJobs.connect(config);
  await app.orm.schema.create();
  for (let round = 1; round <= ROUNDS; round++) {
    const one = await secondsWith(1);
    const all = await secondsWith(processors);
    console.log(
      `round ${round}: ${JOBS} jobs in ${one.toFixed(2)} s with 1 process, ${all.toFixed(2)} s with ${processors}: ${(one / all).toFixed(2)} times as fast`,
    );
  }
} finally {
  await temporal.stop();
  await postgres.stop();
}

/** From the first enqueue to the last SUCCESS, with the workers ready before. Four jobs at once in all. */
async function secondsWith(processes: number): Promise<number> {
  const concurrency = Math.max(1, 4 / processes);
  const main = path.resolve(import.meta.dirname, '../../dist/src/cli/main.js');
  const args = [
    'worker',
    '-A',
    path.join(import.meta.dirname, 'cpu-app'),
    '-l',
    'info',
    '-p',
    String(processes),
    '-c',
    String(concurrency),
  ];
  const worker = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve) => {
    let left = processes;
    createInterface({ input: worker.stdout }).on('line', (line) => {
      if (line.includes('"msg":"ready"') && --left === 0) resolve();
    });
  });
  const startedAt = performance.now();
  const ids = await Compute.enqueueMany(Array.from({ length: JOBS }, () => ({ hashes: HASHES })));
  while ((await Compute.count({ id: { $in: ids }, status: 'SUCCESS' })) < JOBS) await pause(20);
  const seconds = (performance.now() - startedAt) / 1_000;
  worker.kill('SIGTERM');
  await once(worker, 'exit');
  return seconds;
}
