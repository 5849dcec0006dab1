// The seam between the commands and the process that runs them: main.ts fills it in, tests fill in another world.
import type { MikroORM } from '@mikro-orm/postgresql';
import type { Logger } from 'pino';
import type { Config } from '../app/config.ts';
import type { LoadedConfig } from '../app/load-config.ts';
import type { LogFormat, LogLevel } from '../app/log.ts';
import type { Settings } from '../app/settings.ts';
import type { JobClass } from '../entity/job-types.ts';

/** What the commands need of the world. */
export interface CliDeps {
  version: string;
  cwd: string;
  env: Readonly<Record<string, string | undefined>>;
  /** The script and its arguments, for starting the same command again. */
  argv: readonly string[];
  /** For help and errors; log lines go to stdout by themselves. */
  write: { out(text: string): void; err(text: string): void };
  loadConfig(options: { file?: string | undefined; cwd: string }): Promise<LoadedConfig>;
  createLog(level: LogLevel, options: { format: LogFormat }): Logger;
  connect(
    config: Config,
    options: { settings: Settings; log: Logger; handlersFolder: { folder: string; extension: string }; wait: boolean },
  ): Promise<WorkerApplication>;
  /** Where Temporal is, as the application will see it. */
  temporalTarget(config: Config): Promise<{ address: string; namespace: string }>;
}

/** What the worker command needs of the application object. */
export interface WorkerApplication {
  readonly name: string;
  readonly orm: Pick<MikroORM, 'em'>;
  /** Starts the application's own services and discovers its handlers. */
  prepare(): Promise<void>;
  /** Those that it would run, once it is prepared. */
  readonly handlers: ReadonlyMap<JobClass, unknown>;
  worker(options: {
    queues: string[];
    concurrency: number;
    wait: boolean;
    drainTimeoutMs: number;
    probePort: number | null;
    signals: false;
    signal: AbortSignal;
  }): Promise<{ run(): Promise<void> } & AsyncDisposable>;
  close(): Promise<void>;
}
