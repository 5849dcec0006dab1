// What the main thread and the lifeline's thread tell each other.
import type { MessagePort } from 'node:worker_threads';
import type { LogRecipe } from '../../app/log.ts';
import type { AttemptRef, Log } from '../../domain/ports.ts';
import type { BeatSource } from '../../mirror/beat.ts';

export interface ThreadData {
  /** Of the jobs that run. Nobody is woken by it: the thread reads it whenever it wants to know. */
  news: MessagePort;
  state: SharedArrayBuffer;
  beat: BeatSource;
  /** Options of node-postgres; null: they cannot be given to a thread, and it sends no beats. */
  database: object | null;
  /** Null: the log is somebody else's, and what the thread says comes through the main thread, once that is free. */
  log: LogRecipe | null;
  /** Null: no probes. */
  probePort: number | null;
}

export type ToThread = { kind: 'metrics'; text: string };

export type JobNews =
  | { kind: 'listed' | 'unlisted'; jobId: string }
  /** A handler is at work. */
  | { kind: 'began'; ref: AttemptRef; runTimeoutMs: number | null }
  | { kind: 'ended'; ref: AttemptRef }
  /** In order. */
  | { kind: 'several'; news: JobNews[] };

export type LogLevel = Exclude<keyof Log, 'child'>;

export type FromThread =
  /** `probePort` null: it serves none. */
  | { kind: 'up'; probePort: number | null }
  /** The port cannot be had. */
  | { kind: 'refused'; why: string }
  | { kind: 'log'; level: LogLevel; fields: object; message: string }
  /** The main loop turns again. `by`: in words, who blocked it. */
  | { kind: 'blockEnded'; blockedMs: number; by: string; fields: object }
  | { kind: 'metricsWanted' };
