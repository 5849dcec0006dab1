// A producer or worker as a process of its own, so that its CPU and memory can be told apart.
import { fork, type ChildProcess as NodeProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ContestantName } from './contestants/index.ts';
import type { Surroundings } from './contestants/contestant.ts';

export interface Question {
  number: number;
  command: string;
  args: unknown[];
}
export type Answer = { ready: true } | { number: number; value: unknown } | { number: number; error: string };

export interface ChildOptions {
  role: 'producer' | 'worker';
  contestant: ContestantName;
  surroundings: Surroundings;
  /** Folder for V8's CPU profile of the process. */
  cpuProfiles?: string | undefined;
}

/** Not on the command line: it has a password. */
export const SURROUNDINGS = 'BENCH_SURROUNDINGS';
const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));
const START_TIMEOUT_MS = 60_000;
const STDERR_LENGTH = 4_000;

export class ChildProcess<C> implements AsyncDisposable {
  readonly #role: string;
  readonly #process: NodeProcess;
  readonly #ended: Promise<unknown>;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  readonly #ready = Promise.withResolvers<void>();
  #asked = 0;
  #output = '';

  private constructor({ role, contestant, surroundings, cpuProfiles }: ChildOptions) {
    this.#role = role;
    // A folder each, because the worker's threads write a profile, too.
    const profile = cpuProfiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${path.resolve(cpuProfiles, contestant, role)}`];
    this.#process = fork(CHILD, [role, contestant], {
      execArgv: profile,
      env: { ASYNCJOB_LOG_LEVEL: 'warn', ...process.env, [SURROUNDINGS]: JSON.stringify(surroundings) },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.#process.stdout!, this.#process.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output = (this.#output + text).slice(-STDERR_LENGTH)));
    this.#process.on('message', (answer: Answer) => this.#receive(answer));
    this.#ended = once(this.#process, 'close').then(() => this.#failAll());
  }

  /** Resolves when the process is at work. */
  static async start<C>(options: ChildOptions): Promise<ChildProcess<C>> {
    const child = new ChildProcess<C>(options);
    const late = setTimeout(() => child.#ready.reject(child.#failure('did not start in time')), START_TIMEOUT_MS);
    try {
      await child.#ready.promise;
      return child;
    } catch (error) {
      child.#process.kill('SIGKILL');
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  get pid(): number {
    return this.#process.pid!;
  }

  call<Name extends keyof C & string>(
    command: Name,
    ...args: C[Name] extends (...args: infer A) => unknown ? A : never
  ): C[Name] extends (...args: never[]) => infer R ? R : never {
    const number = ++this.#asked;
    const answered = new Promise<unknown>((resolve, reject) => this.#waiting.set(number, { resolve, reject }));
    this.#process.send({ number, command, args } satisfies Question);
    return answered as never;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.connected) this.#process.send({ number: 0, command: 'stop', args: [] } satisfies Question);
    const late = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(late);
  }

  #receive(answer: Answer): void {
    if ('ready' in answer) return this.#ready.resolve();
    const waiting = this.#waiting.get(answer.number);
    this.#waiting.delete(answer.number);
    if ('error' in answer) waiting?.reject(this.#failure(answer.error));
    else waiting?.resolve(answer.value);
  }

  #failAll(): void {
    const failure = this.#failure('has ended');
    this.#ready.reject(failure);
    for (const { reject } of this.#waiting.values()) reject(failure);
  }

  #failure(what: string): Error {
    return new Error(`the ${this.#role}: ${what}${this.#output === '' ? '' : `. It said:\n${this.#output}`}`);
  }
}
