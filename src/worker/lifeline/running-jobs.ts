// What the thread was told of the jobs of its process.
import type { AttemptRef } from '../../domain/ports.ts';
import type { ToThread } from './messages.ts';

/** How far an attempt may exceed its runTimeout in a blocked loop before its process is ended. */
export const OVERDUE_GRACE_MS = 5_000;

interface Begun {
  ref: AttemptRef;
  runTimeoutMs: number | null;
  atMs: number;
}

export class RunningJobs {
  readonly #listed = new Set<string>();
  readonly #begun = new Map<string, Begun>();

  /** The list for the registry: more than those at work, since a job is listed before its start is sent. */
  get listed(): string[] {
    return [...this.#listed];
  }

  /** Attempts whose handlers are at work. */
  get atWork(): AttemptRef[] {
    return [...this.#begun.values()].map(({ ref }) => ref);
  }

  hear(message: Exclude<ToThread, { kind: 'metrics' | 'several' }>, nowMs: number): void {
    switch (message.kind) {
      case 'listed':
        this.#listed.add(message.jobId);
        return;
      case 'unlisted':
        this.#listed.delete(message.jobId);
        return;
      case 'began':
        this.#begun.set(keyOf(message.ref), { ref: message.ref, runTimeoutMs: message.runTimeoutMs, atMs: nowMs });
        return;
      case 'ended':
        this.#begun.delete(keyOf(message.ref));
    }
  }

  /**
   * Attempts that exceeded their runTimeout by more than the grace, all of it in a blocked loop: nobody can stop them from
   * inside.
   */
  overdue(nowMs: number, blockedMs: number): AttemptRef[] {
    if (blockedMs < OVERDUE_GRACE_MS) return [];
    return [...this.#begun.values()]
      .filter(({ atMs, runTimeoutMs }) => runTimeoutMs !== null && nowMs - atMs > runTimeoutMs + OVERDUE_GRACE_MS)
      .map(({ ref }) => ref);
  }
}

export function isSameAttempt(a: AttemptRef, b: AttemptRef): boolean {
  return keyOf(a) === keyOf(b);
}

function keyOf({ jobType, id, run, attempt, runId }: AttemptRef): string {
  return `${jobType} ${id} ${run} ${attempt} ${runId}`;
}
