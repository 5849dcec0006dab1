// `asyncjob worker` as a process that can be killed, stopped and continued. It never outlives the process that started it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../../support/until.ts';
import type { Incidents } from './incidents.ts';
import { PATIENCE_MS } from './patience.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const APPLICATION = path.resolve(import.meta.dirname, '../fixtures/app');
export const CLI = path.join(ROOT, 'dist/src/cli/main.js');

export interface LogLine extends Record<string, unknown> {
  level: number;
  msg: string;
}

export class AppProcess implements AsyncDisposable {
  readonly lines: LogLine[] = [];
  stderr = '';
  readonly #child: ChildProcess;
  readonly #incidents: Incidents;
  readonly #ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  #hasEnded = false;
  #isFrozen = false;

  /** Runs a module of the fixture application, or an absolute path, in the application's folder. */
  constructor([file, ...args]: readonly [string, ...string[]], env: Record<string, string>, incidents: Incidents) {
    this.#incidents = incidents;
    const { PATH = '', HOME = '' } = process.env;
    this.#child = spawn(process.execPath, [path.resolve(APPLICATION, file), ...args], {
      cwd: APPLICATION,
      env: { PATH, HOME, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface(this.#child.stdout!).on('line', (line) => this.lines.push(JSON.parse(line) as LogLine));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    const guard = startGuard(this.pid);
    this.#child.once('exit', () => {
      this.#hasEnded = true;
      incidents.died(this.pid, Date.now());
    });
    this.#ended = once(this.#child, 'close').then(([code, signal]) => {
      guard.kill('SIGKILL');
      return { code, signal } as { code: number | null; signal: NodeJS.Signals | null };
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill9(): Promise<void> {
    this.#incidents.died(this.pid, Date.now());
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Asks it to drain. */
  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  /** SIGSTOP: it does nothing, and nobody is told. */
  freeze(): void {
    this.#incidents.froze(this.pid);
    this.#isFrozen = true;
    this.#child.kill('SIGSTOP');
  }

  /** SIGCONT. */
  thaw(): void {
    this.#child.kill('SIGCONT');
    this.#isFrozen = false;
    this.#incidents.thawed(this.pid);
  }

  /** The first log line whose message contains `text`, once there is one. */
  async line(text: string): Promise<LogLine> {
    const found = () => this.lines.find(({ msg }) => msg.includes(text));
    await this.#until(`it says '${text}'`, () => found() ?? this.#hasEnded);
    const line = found();
    if (!line) throw new Error(`the process ended before it said '${text}'. ${this.#said()}`);
    return line;
  }

  /** How it ended; fails when it does not end in time. */
  async end(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    await this.#until('the process ends', () => this.#hasEnded);
    return this.#ended;
  }

  async #until(what: string, condition: () => unknown): Promise<void> {
    await until(condition, { what, timeoutMs: PATIENCE_MS }).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}. ${this.#said()}`, { cause: error });
    });
  }

  #said(): string {
    return `It said:\n${this.lines
      .map((line) => JSON.stringify(line))
      .slice(-50)
      .join('\n')}\n${this.stderr}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) await this.kill9();
    await this.#ended;
    if (this.#isFrozen) this.#incidents.thawed(this.pid);
  }
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
