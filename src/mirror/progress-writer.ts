// What a handler says while it runs, written to the row at most once a second: the newest word wins. Each write also
// tells whether the attempt still has the row and whether revocation was asked for.
import type { AttemptRef, JobMirror, ProgressReport } from '../domain/ports.ts';

export interface ProgressNews {
  overtaken(): void;
  revokeRequested(): void;
  failed(error: unknown): void;
}

export class ProgressWriter {
  readonly #mirror: JobMirror;
  readonly #ref: AttemptRef;
  readonly #news: ProgressNews;
  readonly #everyMs: number;
  #pending: ProgressReport | null = null;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #lastWriteAt = 0;
  #closed = false;

  constructor(mirror: JobMirror, ref: AttemptRef, news: ProgressNews, everyMs = 1_000) {
    this.#mirror = mirror;
    this.#ref = ref;
    this.#news = news;
    this.#everyMs = everyMs;
  }

  report(said: ProgressReport): void {
    if (this.#closed) return;
    this.#pending = { ...this.#pending, ...said };
    this.#timer ??= setTimeout(() => this.#write(), Math.max(0, this.#lastWriteAt + this.#everyMs - Date.now()));
  }

  /** Asks the row at once, whether or not there is something to say. */
  ask(): Promise<void> {
    this.#pending ??= {};
    return this.#write();
  }

  /** Writes what is pending, and nothing after it. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#pending) await this.#write();
    else clearTimeout(this.#timer);
    await this.#writing;
  }

  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const said = this.#pending;
    this.#pending = null;
    if (!said) return this.#writing;
    this.#lastWriteAt = Date.now();
    return (this.#writing = this.#writing.then(async () => {
      try {
        const { result, revokeRequested } = await this.#mirror.progress(this.#ref, said);
        if (result === 'stale') this.#news.overtaken();
        else if (revokeRequested) this.#news.revokeRequested();
      } catch (error) {
        // Kept for the next write unless something newer was said: an outage loses no progress.
        if (Object.keys(said).length > 0) this.#pending = { ...said, ...(this.#pending as ProgressReport | null) };
        if (this.#pending && !this.#closed) this.#timer ??= setTimeout(() => this.#write(), this.#everyMs);
        this.#news.failed(error);
      }
    }));
  }
}
