// What the demo runs on: PostgreSQL, Temporal, and the worker. An application has its servers already, and starts workers
// from a shell: `npx asyncjob worker …`.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { spawnServer } from '../../../src/dev/child-server.ts';
import { startPostgres, startTemporal } from '../../../src/dev/index.ts';
import { say } from './say.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

/** Starts both servers and points the environment at them; returns the address of Temporal's UI. `stack` stops them. */
export async function startServers(stack: AsyncDisposableStack): Promise<string> {
  const starting = [startPostgres({ log: say }), startTemporal({ log: say })] as const;
  // Also the one that is still starting when the other one fails.
  for (const server of starting) stack.defer(async () => (await server.catch(() => null))?.stop());
  const [postgres, temporal] = await Promise.all(starting);

  // What this shell and Temporal's profile file say about other servers must not lead the demo there.
  for (const name of Object.keys(process.env)) if (/^(TEMPORAL|ASYNCJOB)_/.test(name)) delete process.env[name];
  process.env['DATABASE_URL'] = postgres.url;
  process.env['TEMPORAL_ADDRESS'] = temporal.address;
  process.env['TEMPORAL_CONFIG_FILE'] = path.join(ROOT, 'no-profile');
  // gRPC would ask a proxy for the way to this very machine.
  process.env['no_grpc_proxy'] = '127.0.0.1';
  process.env['ASYNCJOB_LOG_FORMAT'] = 'pretty';
  return temporal.uiUrl!;
}

export interface WorkerProcess {
  /** The file that its log lines go to. */
  logFile: string;
  /** How it ended and what it said last; `null` while it runs. */
  ended(): string | null;
}

/** Starts the worker as anybody would, in a process of its own. `stack` stops it. */
export async function startWorker(stack: AsyncDisposableStack): Promise<WorkerProcess> {
  const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-demo-'));
  const args = ['worker', '-A', 'examples/demo/asyncjob.config.ts', '--queue=files,reports', '--concurrency=4', '--drain-timeout=2s'];
  const worker = await spawnServer({
    command: process.execPath,
    args: [path.join(ROOT, 'dist/src/cli/main.js'), ...args],
    cwd: ROOT,
    folder,
    stopSignal: 'SIGTERM',
  });
  stack.defer(() => worker.stop());
  say(`Worker (pid ${worker.pid}): asyncjob ${args.join(' ')}`);
  return {
    logFile: path.join(folder, 'server.log'),
    ended: () => worker.ended() && `${worker.ended()}. It said last:\n${worker.log()}`,
  };
}
