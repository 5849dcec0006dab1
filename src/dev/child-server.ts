// A server process that belongs to this one: it does not see the terminal's Ctrl-C (so that a worker can still drain
// against it), writes its log to a file, and ends when this process ends, however that happens.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';

export interface ChildServer {
  readonly pid: number;
  /** How it ended, in words; `null` while it runs. */
  ended(): string | null;
  /** The end of its log. */
  log(): string;
  /** Asks it to end, insists after 10 seconds, and removes its folder. Does nothing when called again. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash; its folder stays until `stop()`. */
  kill9(): Promise<void>;
}

export interface ChildServerOptions {
  command: string;
  args: string[];
  /** A folder of its own for the log and temporary files. Removed by `stop()` and when this process dies. */
  folder: string;
  stopSignal: 'SIGINT' | 'SIGTERM';
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
}

const STOP_TIMEOUT_MS = 10_000;
const LOG_TAIL_LENGTH = 4_000;

// Waits for the end of its standard input, which comes when the parent is gone (SIGKILL included).
const GUARD = `read -r _
kill -s "$2" "$1" 2>/dev/null
n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
kill -s KILL "$1" 2>/dev/null
rm -rf "$3"`;

/** @throws Error when the command cannot be started at all. */
export async function spawnServer(options: ChildServerOptions): Promise<ChildServer> {
  const logFile = path.join(options.folder, 'server.log');
  const logDescriptor = openSync(logFile, 'a');
  const { uid, gid } = options;
  const child = spawn(options.command, options.args, {
    stdio: ['ignore', logDescriptor, logDescriptor],
    env: options.env ?? process.env,
    cwd: options.cwd ?? options.folder,
    detached: process.platform !== 'win32',
    windowsHide: true,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  closeSync(logDescriptor);

  let end: string | null = null;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      end = signal === null ? `exit code ${code}` : signal;
      resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  child.unref();
  const pid = child.pid!;
  const guard = startGuard(pid, options);

  // The guard does this too, but only POSIX has one.
  const onExit = () => void child.kill(options.stopSignal);
  process.once('exit', onExit);

  const send = async (signal: NodeJS.Signals) => {
    // An unreferenced child would let this process end while it waits.
    child.ref();
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    if (end === null) {
      child.kill(signal);
      if (process.platform !== 'win32') child.kill('SIGCONT'); // it may be suspended by a test
      await exited;
    }
    clearTimeout(late);
    process.off('exit', onExit);
    guard?.kill('SIGKILL');
  };

  return {
    pid,
    ended: () => end,
    log: () => readTail(logFile),
    async stop() {
      await send(options.stopSignal);
      await rm(options.folder, { recursive: true, force: true, maxRetries: 5 });
    },
    kill9: () => send('SIGKILL'),
  };
}

function startGuard(pid: number, options: ChildServerOptions): ChildProcess | null {
  if (process.platform === 'win32') return null;
  const signal = options.stopSignal.replace('SIG', '');
  const guard = spawn('/bin/sh', ['-c', GUARD, 'asyncjob-guard', String(pid), signal, options.folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    detached: true,
  });
  guard.on('error', () => {}); // no shell: the exit handler has to do
  guard.stdin?.on('error', () => {});
  (guard.stdin as unknown as { unref?: () => void } | null)?.unref?.();
  guard.unref();
  return guard;
}

function readTail(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(-LOG_TAIL_LENGTH).trim();
  } catch {
    return '';
  }
}
