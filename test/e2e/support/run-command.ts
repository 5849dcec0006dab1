// A command of the built command line that prints for people, or one JSON document, and ends by itself.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { fixture } from './cli.ts';

const MAIN = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url));
/** Nobody waits longer for an answer. */
const TIMEOUT_MS = 45_000;

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  tookMs: number;
}

/** `env` is all of its environment, besides PATH and HOME. */
export async function runCommand(args: readonly string[], options: { env?: Record<string, string>; cwd?: string } = {}): Promise<Ended> {
  const { env = {}, cwd = fixture('app') } = options;
  const { PATH = '', HOME = '' } = process.env;
  const startedAt = performance.now();
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code, stdout, stderr, tookMs: performance.now() - startedAt };
}
