// `asyncjob worker`: runs the jobs of some queues until it is told to stop.
import { once } from 'node:events';
import type { Command } from 'commander';
import { SETTINGS, type Settings } from '../app/settings.ts';
import { isAsyncJobError } from '../domain/errors.ts';
import type { Log } from '../domain/ports.ts';
import { onShutdownSignals } from '../worker/shutdown-signals.ts';
import { reportReady, supervise } from '../worker/supervisor.ts';
import type { CliDeps, WorkerApplication } from './cli-deps.ts';
import { CommandEnded } from './command-ended.ts';
import { loadApplication } from './load-application.ts';
import { describeOption } from './describe-option.ts';
import type { SharedOptions } from './program.ts';
import { startBanner } from './start-banner.ts';

const CLOSE_TIMEOUT_MS = 5_000;
const CHILD_VARIABLE = 'ASYNCJOB_CHILD';

interface WorkerOptions extends SharedOptions {
  queue?: string[];
  concurrency?: string;
  drainTimeout?: string;
  processes?: string;
  probePort?: string;
  wait: boolean;
}

export function addWorkerCommand(program: Command, deps: CliDeps): void {
  program
    .command('worker')
    .description('Run the jobs of some queues until SIGTERM or SIGINT; then finish what runs.')
    .option('-Q, --queue <name...>', `${describeOption('queues')}; may be repeated`)
    .option('-c, --concurrency <number>', describeOption('concurrency'))
    .option('-p, --processes <number>', describeOption('processes'))
    .option('--drain-timeout <duration>', describeOption('drainTimeoutMs'))
    .option('--probe-port <port>', describeOption('probePort'))
    .option('--no-wait', 'Fail when PostgreSQL or Temporal is away at the start, instead of waiting for it')
    .action((_options: unknown, command: Command) => runWorker(command.optsWithGlobals<WorkerOptions>(), deps));
}

async function runWorker(options: WorkerOptions, deps: CliDeps): Promise<void> {
  const { settings, loaded } = await loadApplication(options, deps, {
    queues: options.queue,
    concurrency: options.concurrency,
    drainTimeoutMs: options.drainTimeout,
    processes: options.processes,
    probePort: options.probePort,
  });
  const log = deps.createLog(settings.logLevel, { format: settings.logFormat });
  if (settings.processes > 1 && !deps.env[CHILD_VARIABLE]) return runProcesses(settings, deps, log);
  const { config, folder, extension } = loaded;
  const app = await deps.connect(config, { settings, log, handlersFolder: { folder, extension }, wait: options.wait });
  const ending = new AbortController();
  const { signal } = ending;
  const forgetSignals = onShutdownSignals(log, () => ending.abort());
  let isAbandoned = false;
  try {
    await Promise.race([app.prepare(), once(signal, 'abort')]);
    if (signal.aborted) return;
    // Before anything is waited for: it says where that is looked for.
    startBanner(log, { version: deps.version, file: loaded.file, app, settings, temporal: await deps.temporalTarget(config) });
    const { queues, concurrency, drainTimeoutMs } = settings;
    const probePort = probePortOf(settings, deps.env[CHILD_VARIABLE]);
    await using worker = await app.worker({ queues, concurrency, drainTimeoutMs, probePort, wait: options.wait, signals: false, signal });
    const forgetSupervisor = reportReady(() => ending.abort());
    await worker.run();
    forgetSupervisor();
  } catch (error) {
    isAbandoned = isAsyncJobError(error, 'worker.abandoned');
    throw error;
  } finally {
    // Handlers that are still at work would find everything closed: the process ends now.
    if (!isAbandoned) await close(app, log);
    forgetSignals();
  }
}

/** Each process under a supervisor has a port of its own. */
function probePortOf({ probePort }: Settings, child: string | undefined): number | null {
  return probePort ? probePort + Number(child ?? 1) - 1 : probePort;
}

/** The same command once more for each process; the variable tells a child that it is one. */
async function runProcesses(settings: Settings, { env, argv }: CliDeps, log: Log): Promise<void> {
  const isTerminal = settings.logFormat === 'pretty' || (settings.logFormat === 'auto' && process.stdout.isTTY);
  const format = isTerminal ? { [SETTINGS.logFormat.env]: 'pretty', FORCE_COLOR: '1' } : { [SETTINGS.logFormat.env]: 'json' };
  const command = { file: process.execPath, args: [...process.execArgv, ...argv], env: { ...env, ...format } };
  const code = await supervise({ processes: settings.processes, command, log });
  if (code !== 0) throw new CommandEnded(code);
}

/** A connection that a handler never gave back, or a service that does not stop, must not keep the process from ending. */
async function close(app: WorkerApplication, log: Log): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      log.warn(
        { afterMs: CLOSE_TIMEOUT_MS },
        'ending although the application does not close: something still uses its connections or services',
      );
      resolve();
    }, CLOSE_TIMEOUT_MS);
  });
  await Promise.race([app.close(), late]).finally(() => clearTimeout(timer));
}
