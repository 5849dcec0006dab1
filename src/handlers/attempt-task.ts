// The `task` that a handler gets.
import type { EntityManager } from '@mikro-orm/postgresql';
import type { AttemptHost } from '../domain/attempt.ts';
import { AsyncJobError } from '../domain/errors.ts';
import type { JobMirror, Log, ProgressReport } from '../domain/ports.ts';
import type { AsyncJob } from '../entity/async-job.ts';
import type { Task } from '../entity/job-types.ts';

/** Where progress goes: `src/mirror/progress-writer.ts`. */
export interface ProgressSink {
  report(said: ProgressReport): void;
  ask(): Promise<void>;
  close(): Promise<void>;
}

interface AttemptTaskParts {
  host: AttemptHost;
  job: AsyncJob;
  em: EntityManager;
  progress: ProgressSink;
  signal: AbortSignal;
  log: () => Log;
  mirror: JobMirror;
  /** Repeats a write while PostgreSQL is away and the handler shall go on. */
  untilWritten<R>(write: () => Promise<R>): Promise<R>;
  toCallerError(error: unknown, jobType: string): unknown;
  overtaken: () => void;
}

const MESSAGE_LENGTH_MAX = 1_000;

export class AttemptTask implements Task {
  readonly #parts: AttemptTaskParts;
  #checkpoint: unknown;

  constructor(parts: AttemptTaskParts) {
    this.#parts = parts;
    this.#checkpoint = parts.job.checkpoint ?? null;
  }

  get id(): string {
    return this.#parts.host.ref.id;
  }
  get jobType(): string {
    return this.#parts.host.ref.jobType;
  }
  get queue(): string {
    return this.#parts.host.queue;
  }
  get run(): number {
    return this.#parts.host.ref.run;
  }
  get attempt(): number {
    return this.#parts.host.ref.attempt;
  }
  get signal(): AbortSignal {
    return this.#parts.signal;
  }
  get em(): EntityManager {
    return this.#parts.em;
  }
  get log(): Log {
    return this.#parts.log();
  }
  get info(): unknown {
    return this.#parts.host.info;
  }
  get checkpoint(): NonNullable<unknown> | null {
    return this.#checkpoint ?? null;
  }

  readonly progress = (done: number | { current: number; total: number }, message?: string): void => {
    const fraction = typeof done === 'number' ? done : done.total > 0 ? done.current / done.total : 0;
    // A wrong fraction is no reason to fail a job: it is clipped.
    const progress = Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0;
    this.#parts.progress.report(
      message === undefined ? { progress } : { progress, message: message.replaceAll('\u0000', '').slice(0, MESSAGE_LENGTH_MAX) },
    );
    this.#parts.host.heartbeat({ progress, ...(message === undefined ? {} : { message: message.slice(0, MESSAGE_LENGTH_MAX) }) });
  };

  readonly saveCheckpoint = async (value: unknown): Promise<void> => {
    const { mirror, host, untilWritten, toCallerError } = this.#parts;
    const { result } = await untilWritten(() => mirror.progress(host.ref, { checkpoint: value })).catch((error: unknown) => {
      throw toCallerError(error, this.jobType);
    });
    if (result === 'stale') {
      this.#parts.overtaken();
      throw new AsyncJobError('attempt.overtaken', `another attempt or a revocation has taken job ${this.id}: stop here.`);
    }
    this.#checkpoint = value;
  };

  readonly heartbeat = (details?: unknown): void => {
    this.#parts.progress.report(reportOf(details));
    this.#parts.host.heartbeat(details);
  };
}

/** A raw heartbeat's details as progress, where they look like it: a number, or `{ progress, message }`. */
export function reportOf(details: unknown): { progress?: number; message?: string } {
  if (typeof details === 'number') return details >= 0 && details <= 1 ? { progress: details } : {};
  if (typeof details !== 'object' || details === null) return {};
  const { progress, message } = details as { progress?: unknown; message?: unknown };
  return {
    ...(typeof progress === 'number' && progress >= 0 && progress <= 1 ? { progress } : {}),
    ...(typeof message === 'string' ? { message } : {}),
  };
}
