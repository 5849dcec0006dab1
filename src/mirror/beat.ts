// The statement that renews a worker's row in the registry. The process itself sends it (worker-registry.ts), and while its
// event loop is blocked its lifeline does (src/worker/lifeline).

export interface WorkerDescription {
  id: string;
  application: string;
  host: string;
  pid: number;
  version: string;
  queues: string[];
  concurrency: number;
}

/** What a beat needs besides the list of jobs; plain data. */
export interface BeatSource {
  /** The registry's table, as in SQL. */
  workers: string;
  worker: WorkerDescription;
  /** How long a silent worker counts as alive; beats are sent five times as often. */
  ttlMs: number;
}

/** Longer than a statement waits for a lock (src/app/open-pool.ts): a beat that is given up is over on the server, too. */
const BEAT_TIMEOUT_MS = 10_000;

export function beatIntervalMs({ ttlMs }: BeatSource): number {
  return Math.max(50, ttlMs / 5);
}

/**
 * Since when the worker has been alive without a gap in its beats. A gap is longer than half a time to live: an outage may end before
 * this worker's row expires, and after others' have.
 */
const aliveSince = (ttlMs: string) =>
  `alive_since = case when w.seen_at < now() - make_interval(secs => ${ttlMs}::float8 / 2000) then now() else w.alive_since end`;

/** Renews the row, and says nothing of jobs: while it is not known which ones a claim has started. */
export function renewalQuery({ workers, worker, ttlMs }: BeatSource) {
  return {
    text: `update ${workers} w set seen_at = now(), expires_at = now() + make_interval(secs => $2::float8 / 1000),
        ${aliveSince('$2')}
      where w.id = $1 and w.stopped_at is null`,
    values: [worker.id, ttlMs],
    query_timeout: BEAT_TIMEOUT_MS,
  };
}

/** Renews the row with the jobs that run, and makes it anew when it is gone (a restored database). */
export function beatQuery({ workers, worker: w, ttlMs }: BeatSource, jobs: string[]) {
  return {
    text: `insert into ${workers} as w (id, application, host, pid, version, queues, concurrency, jobs, expires_at)
      values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8::jsonb, now() + make_interval(secs => $9::float8 / 1000))
      on conflict (id) do update set seen_at = now(), expires_at = excluded.expires_at, beat = w.beat + 1, jobs = excluded.jobs,
        ${aliveSince('$9')}
      where w.stopped_at is null`,
    values: [w.id, w.application, w.host, w.pid, w.version, JSON.stringify(w.queues), w.concurrency, JSON.stringify(jobs), ttlMs],
    query_timeout: BEAT_TIMEOUT_MS,
  };
}
