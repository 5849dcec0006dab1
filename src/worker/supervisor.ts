// Several worker processes under one: a child that dies is restarted with back-off, one that drained is not; signals go
// to all; their lines become one stream with the child's number. It knows nothing of jobs.
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Log } from '../domain/ports.ts';
import { onShutdownSignals } from './shutdown-signals.ts';

export interface SupervisorOptions {
  processes: number;
  /** The command of one child. */
  command: { file: string; args: readonly string[]; env: Readonly<Record<string, string | undefined>> };
  log: Log;
  /** First pause before a restart; it doubles up to 30 s while the child keeps dying. @default 1_000 */
  restartAfterMs?: number;
  out?: { stdout: Writable; stderr: Writable };
}

/** A child says so through its IPC channel (`reportReady`). */
const READY = 'asyncjob.ready';
const RESTART_AFTER_MAX_MS = 30_000;
const OUTPUT_AFTER_EXIT_MS = 1_000;
/** A child that lived so long starts anew without a history. */
const STABLE_AFTER_MS = 60_000;

/** In a child: it is ready, and ends when its supervisor is gone. Returns how to stop listening for that. */
export function reportReady(supervisorGone: () => void): () => void {
  if (process.env['ASYNCJOB_CHILD'] === undefined || !process.send) return () => undefined;
  process.send(READY);
  process.once('disconnect', supervisorGone);
  return () => process.off('disconnect', supervisorGone);
}

/**
 * Runs the children until each has drained, and returns the exit code: 0, or that of the child that could not even
 * start (wrong settings, a missing table): then nothing is restarted and the others are drained.
 */
export function supervise(options: SupervisorOptions): Promise<number> {
  return new Supervisor(options).run();
}

class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children = new Map<number, ChildProcess>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  #isStopping = false;
  #exitCode = 0;
  #ended!: () => void;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  async run(): Promise<number> {
    const { log, processes } = this.#options;
    const forget = onShutdownSignals(
      log,
      () => this.#stop(),
      () => this.#kill(),
    );
    log.info({ processes }, 'supervising worker processes');
    await new Promise<void>((ended) => {
      this.#ended = ended;
      for (let number = 1; number <= processes; number++) this.#start(number, 0);
    });
    forget();
    return this.#exitCode;
  }

  #start(number: number, failures: number): void {
    const { command, out = process } = this.#options;
    const child = spawn(command.file, command.args, {
      env: { ...command.env, ASYNCJOB_CHILD: String(number) },
      // Detached: Ctrl-C reaches the supervisor alone, which passes it on once.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#children.set(number, child);
    forward(child.stdout!, out.stdout, number);
    forward(child.stderr!, out.stderr, number);
    const startedAt = Date.now();
    let isReady = failures > 0; // it was, when it ran before
    child.on('message', (message) => (isReady ||= message === READY));
    void untilOver(child).then(({ code, signal }) => {
      this.#children.delete(number);
      const lastedMs = Date.now() - startedAt;
      this.#closed(number, { code, signal, isReady, failures: lastedMs > STABLE_AFTER_MS ? 0 : failures, pid: child.pid });
    });
    child.once('error', (error) => this.#options.log.error({ process: number, err: error }, 'a worker process could not be started'));
  }

  #closed(
    number: number,
    end: { code: number | null; signal: string | null; isReady: boolean; failures: number; pid: number | undefined },
  ): void {
    const { log, restartAfterMs = 1_000 } = this.#options;
    const { code, signal, isReady, failures, pid } = end;
    const fields = { process: number, pid, code, signal };
    if (code === 0) log.info(fields, 'a worker process has drained');
    else if (this.#isStopping) {
      log.warn(fields, 'a worker process did not end orderly');
      this.#exitCode ||= code ?? 1;
    } else if (!isReady) {
      log.error(fields, 'a worker process could not start: ending all');
      this.#exitCode ||= code ?? 1;
      this.#stop();
    } else {
      const afterMs = Math.min(restartAfterMs * 2 ** failures, RESTART_AFTER_MAX_MS);
      log.error({ ...fields, afterMs }, 'a worker process died: it is restarted');
      const timer = setTimeout(() => {
        this.#restarts.delete(timer);
        this.#start(number, failures + 1);
      }, afterMs);
      this.#restarts.add(timer);
    }
    if (this.#children.size === 0 && this.#restarts.size === 0) this.#ended();
  }

  #stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    for (const timer of this.#restarts) clearTimeout(timer);
    this.#restarts.clear();
    for (const child of this.#children.values()) child.kill('SIGTERM');
    if (this.#children.size === 0) this.#ended();
  }

  /** The second signal: nobody is waited for. */
  #kill(): void {
    for (const child of this.#children.values()) child.kill('SIGKILL');
  }
}

/** Until all it said is read; but what it started may keep its output open for as long as it likes. */
function untilOver(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
    child.once('exit', (code, signal) => {
      const letGo = () => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        if (child.connected) child.disconnect();
        resolve({ code, signal });
      };
      setTimeout(letGo, OUTPUT_AFTER_EXIT_MS).unref();
    });
  });
}

/** JSON lines carry the number themselves (src/app/log.ts); other lines get it in front. */
function forward(from: Readable, to: Writable, number: number): void {
  createInterface({ input: from }).on('line', (line) => to.write(line.startsWith('{') ? `${line}\n` : `[${number}] ${line}\n`));
}
