// The public types of job classes: what a handler gets, what create() takes.
import type { RequiredEntityData } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Log } from '../domain/ports.ts';
import type { AsyncJob } from './async-job.ts';
import type { Duration } from './duration.ts';
import type { JobOptions } from './job-options.ts';

/** Whose transaction to join; without it the entity's own when it is in one, then the ambient one. */
export interface Within {
  em?: EntityManager;
}

export interface EnqueueOptions extends Within {
  /** @default the class's `defaultQueue` */
  queue?: string;
  /** Not before so long from now. */
  delay?: Duration;
  /** Not before this time. */
  runAt?: Date;
  /** 1 (first) to 5 (last). @default the class's */
  priority?: 1 | 2 | 3 | 4 | 5;
}

export interface WaitOptions {
  /** @default no limit */
  timeout?: Duration;
  /** @default in a handler `task.signal`, so that the wait ends with the attempt */
  signal?: AbortSignal;
}

/** The attempt that a handler runs in. */
export interface Task<T extends AsyncJob = AsyncJob> {
  readonly id: string;
  readonly jobType: string;
  readonly queue: string;
  readonly run: number;
  /** 1 for the first attempt of a run. */
  readonly attempt: number;
  /** Aborts when the handler shall stop: revocation, shutdown, time limit, overtaken. Its reason is an AttemptStopped. */
  readonly signal: AbortSignal;
  /** The EntityManager that manages `job`, for this attempt alone. */
  readonly em: EntityManager;
  /** A logger whose lines carry job, run and attempt. */
  readonly log: Log;
  /** The engine's own information: Temporal's activity `Info`. */
  readonly info: unknown;
  /** What the last `saveCheckpoint()` stored, in whichever attempt; `null` when none did. */
  readonly checkpoint: NonNullable<T['checkpoint']> | null;
  /** A fraction (0 to 1), or how much of how much. Written to the row within a second; the newest wins. */
  progress(done: number | { current: number; total: number }, message?: string): void;
  /**
   * Stores where to go on after a crash; resolves when it is on the row.
   *
   * @throws AsyncJobError `attempt.overtaken`, `job.value_invalid`, `database.unavailable`
   */
  saveCheckpoint(value: NonNullable<T['checkpoint']>): Promise<void>;
  /** Temporal's heartbeat with details of your own, shown in its UI. The library beats by itself: no need to. */
  heartbeat(details?: unknown): void;
}

export type JobHandler<T extends AsyncJob = AsyncJob> = (task: Task<T>, job: T) => T['output'] | void | Promise<T['output'] | void>;

/** Any job class: abstract ones and those with constructor parameters too. */
export type JobClass<T extends AsyncJob = AsyncJob> = (abstract new (...args: any[]) => T) & {
  defaultQueue: string;
  options: JobOptions;
  jobType?: string;
};

/** Phantom key by which a helper-made class carries its own columns. */
export declare const Columns: unique symbol;
type Same<X, Y> = (<T>() => T extends X ? 1 : 2) extends <T>() => T extends Y ? 1 : 2 ? true : false;
type WritableKeys<T> = { [K in keyof T]-?: Same<{ [Q in K]: T[K] }, { -readonly [Q in K]: T[K] }> extends true ? K : never }[keyof T];
// A decorated class is read by its writable keys, so that a user's getter is no input.
type OwnColumns<T> = T extends { [Columns]?: infer C extends object } ? C : Omit<Pick<T, WritableKeys<T>>, keyof AsyncJob>;

/** What `create()` takes: the own columns, required ones required; never lifecycle columns. */
export type JobInput<T extends AsyncJob> = RequiredEntityData<OwnColumns<T>> & { id?: string };
export type DataThen<T extends AsyncJob, O> = {} extends JobInput<T> ? [data?: JobInput<T>, options?: O] : [data: JobInput<T>, options?: O];
