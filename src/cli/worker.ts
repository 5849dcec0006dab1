// `asyncjob worker`: runs the jobs of some queues until it is told to stop.
import type { Command } from 'commander';
import { readSettings, type SettingInputs, type Settings } from '../app/settings.ts';
import type { LoadedConfig } from '../app/load-config.ts';
import type { CliDeps } from './cli-deps.ts';
import { describeOption } from './describe-option.ts';
import type { SharedOptions } from './program.ts';
import { startBanner } from './start-banner.ts';

interface WorkerOptions extends SharedOptions {
  queue?: string[];
  concurrency?: string;
  drainTimeout?: string;
  wait: boolean;
}

export function addWorkerCommand(program: Command, deps: CliDeps): void {
  program
    .command('worker')
    .description('Run the jobs of some queues until SIGTERM or SIGINT; then finish what runs.')
    .option('-Q, --queue <name...>', `${describeOption('queues')}; may be repeated`)
    .option('-c, --concurrency <number>', describeOption('concurrency'))
    .option('--drain-timeout <duration>', describeOption('drainTimeoutMs'))
    .option('--no-wait', 'Fail when PostgreSQL or Temporal is away at the start, instead of waiting for it')
    .action((_options: unknown, command: Command) => runWorker(command.optsWithGlobals<WorkerOptions>(), deps));
}

async function runWorker(options: WorkerOptions, deps: CliDeps): Promise<void> {
  const { settings, loaded } = await loadApplication(options, deps);
  const log = deps.createLog(settings.logLevel, { format: settings.logFormat });
  const { config, folder, extension } = loaded;
  const app = await deps.connect(config, { settings, log, handlersFolder: { folder, extension }, wait: options.wait });
  try {
    const { queues, concurrency, drainTimeoutMs } = settings;
    await using worker = await app.worker({ queues, concurrency, drainTimeoutMs, wait: options.wait });
    startBanner(log, { version: deps.version, file: loaded.file, app, settings, temporal: await deps.temporalTarget(config) });
    await worker.run();
  } finally {
    await app.close();
  }
}

// Settings are read twice: they say which configuration to load, and that has a say in them.
async function loadApplication(
  options: WorkerOptions,
  { env, cwd, loadConfig }: CliDeps,
): Promise<{ settings: Settings; loaded: LoadedConfig }> {
  const overrides: SettingInputs = {
    appFile: options.app,
    logLevel: options.logLevel ?? options.loglevel,
    queues: options.queue,
    concurrency: options.concurrency,
    drainTimeoutMs: options.drainTimeout,
  };
  const { appFile } = readSettings(env, overrides);
  const loaded = await loadConfig({ file: appFile ?? undefined, cwd });
  return { loaded, settings: readSettings(env, overrides, { engine: loaded.config.engine }) };
}
