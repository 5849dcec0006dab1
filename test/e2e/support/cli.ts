// The built command line in child processes, as a user starts it. A child never outlives its test, nor the process that
// runs the tests, however that ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { vi } from 'vitest';
import { until } from '../../support/until.ts';

/** Tests wait for events: only what hangs meets this limit, also on a machine that is busy with other things. */
export const PATIENCE_MS = 60_000;
vi.setConfig({ testTimeout: 3 * PATIENCE_MS, hookTimeout: 3 * PATIENCE_MS });

const MAIN = path.join(import.meta.dirname, '../../../dist/src/cli/main.js');

/** Path of a folder in test/e2e/fixtures. */
export function fixture(name: string): string {
  return path.join(import.meta.dirname, '../fixtures', name);
}

export interface LogLine extends Record<string, unknown> {
  /** pino's numbers: 30 info, 40 warn, 50 error. */
  level: number;
  time: number;
  msg: string;
}

export interface End {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  /** All of its environment, besides PATH and HOME. */
  env?: Record<string, string>;
  cwd?: string;
}

export class Child implements AsyncDisposable {
  readonly lines: LogLine[] = [];
  stderr = '';
  /** When it ended, by this machine's clock. */
  endedAt: number | null = null;
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;

  constructor(args: readonly string[], { env = {}, cwd = fixture('app') }: ChildOptions) {
    const { PATH = '', HOME = '' } = process.env;
    this.#child = spawn(process.execPath, args, { cwd, env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface(this.#child.stdout!).on('line', (line) => this.lines.push(JSON.parse(line) as LogLine));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    const guard = startGuard(this.pid);
    // 'close', not 'exit': by then everything that it wrote has been read.
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      this.endedAt = Date.now();
      guard.kill('SIGKILL');
      return { code, signal } as End;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first log line whose message contains `text`, once there is one. */
  line(text: string): Promise<LogLine> {
    return this.lineWhere(`'${text}'`, ({ msg }) => msg.includes(text));
  }

  /** The first log line for which `isWanted`, once there is one. `what` is for people. */
  async lineWhere(what: string, isWanted: (line: LogLine) => boolean): Promise<LogLine> {
    await this.#until(`it says ${what}`, () => this.lines.some(isWanted) || this.endedAt !== null);
    const found = this.lines.find(isWanted);
    if (!found) throw new Error(`the process ended before it said ${what}. ${this.#said()}`);
    return found;
  }

  /** How it ended; fails when it does not end in time. */
  async end({ timeoutMs = PATIENCE_MS } = {}): Promise<End> {
    await this.#until('the process ends', () => this.endedAt, timeoutMs);
    return this.ended;
  }

  async #until(what: string, condition: () => unknown, timeoutMs = PATIENCE_MS): Promise<void> {
    await until(condition, { what, timeoutMs }).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}. ${this.#said()}`, { cause: error });
    });
  }

  #said(): string {
    return `It said:\n${this.lines.map((line) => JSON.stringify(line)).join('\n')}\n${this.stderr}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.endedAt === null) this.kill('SIGKILL');
    await this.ended;
  }
}

/** Starts `asyncjob …args`; hold it with `await using`. */
export function startCli(args: readonly string[], options: ChildOptions = {}): Child {
  return new Child([MAIN, ...args], options);
}

/** `asyncjob …args` until it ends by itself. */
export async function runCli(args: readonly string[], options: ChildOptions = {}): Promise<End & { stderr: string }> {
  await using child = startCli(args, options);
  const end = await child.end();
  return { ...end, stderr: child.stderr };
}

// Waits for the end of its standard input, which comes when this process is gone (SIGKILL included).
function startGuard(pid: number): ChildProcess {
  const guard = spawn('/bin/sh', ['-c', 'read -r _; kill -s KILL "$1"', 'guard', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  return guard;
}
