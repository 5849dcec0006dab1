// What the thread was told of the jobs of its process.
import type { AttemptRef } from '../../domain/ports.ts';
import type { Blocking } from './blocking-job.ts';
import type { JobNews } from './messages.ts';

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

  hear(news: JobNews, nowMs: number): void {
    switch (news.kind) {
      case 'several':
        for (const each of news.news) this.hear(each, nowMs);
        return;
      case 'listed':
        this.#listed.add(news.jobId);
        return;
      case 'unlisted':
        this.#listed.delete(news.jobId);
        return;
      case 'began':
        this.#begun.set(keyOf(news.ref), { ref: news.ref, runTimeoutMs: news.runTimeoutMs, atMs: nowMs });
        return;
      case 'ended':
        this.#begun.delete(keyOf(news.ref));
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

  /**
   * For whom the process has to be ended: the attempt that blocks the loop, when it is overdue. When it could not be found out
   * who blocks it, all at work, if the block alone has lasted longer than the runTimeout and the grace of each of them:
   * whoever it is may not go on, and nobody else loses anything. Otherwise nobody.
   */
  toBeEnded(blocking: Blocking, nowMs: number, blockedMs: number): AttemptRef[] {
    if (blocking.kind === 'code')
      return this.overdue(nowMs, blockedMs).filter((ref) => blocking.ref !== null && isSameAttempt(ref, blocking.ref));
    if (blocking.kind === 'debugger') return [];
    const areAll = [...this.#begun.values()].every(
      ({ runTimeoutMs }) => runTimeoutMs !== null && blockedMs > runTimeoutMs + OVERDUE_GRACE_MS,
    );
    return areAll ? this.atWork : [];
  }
}

function isSameAttempt(a: AttemptRef, b: AttemptRef): boolean {
  return keyOf(a) === keyOf(b);
}

function keyOf({ jobType, id, run, attempt, runId }: AttemptRef): string {
  return `${jobType} ${id} ${run} ${attempt} ${runId}`;
}
