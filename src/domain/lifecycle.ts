// The lifecycle of a job: every status, every event and every move, on one screen.
// Types, the CHECK constraint, SQL guards, docs and tests derive from this table. It imports nothing and is safe in
// the workflow sandbox.

/** The six statuses of a job. */
export const STATUSES = ['NEW', 'PENDING', 'STARTED', 'SUCCESS', 'FAILURE', 'REVOKED'] as const;
export type Status = (typeof STATUSES)[number];

/** Event → the status it leaves → the status it leads to. What is not listed is refused. */
export const MOVES = {
  enqueued: { NEW: 'PENDING' },
  started: { PENDING: 'STARTED', STARTED: 'STARTED' }, // STARTED → STARTED: a newer attempt follows a crash
  attemptFailed: { STARTED: 'PENDING' }, // and will be tried again
  handedBack: { PENDING: 'PENDING', STARTED: 'PENDING' }, // shutdown, pause, lost contact: nobody's failure
  succeeded: { STARTED: 'SUCCESS' },
  failed: { PENDING: 'FAILURE', STARTED: 'FAILURE' }, // from PENDING only at a time limit
  revoked: { NEW: 'REVOKED', PENDING: 'REVOKED', STARTED: 'REVOKED' },
  retried: { FAILURE: 'PENDING', REVOKED: 'PENDING' },
} as const satisfies Record<string, Partial<Record<Status, Status>>>;
export type JobEvent = keyof typeof MOVES;

/** Statuses that `event` may leave. */
export function statusesBefore(event: JobEvent): Status[] {
  return STATUSES.filter((status) => status in MOVES[event]);
}

/** Where `event` leads from `status`; `null` when the lifecycle refuses it. */
export function statusAfter(status: Status, event: JobEvent): Status | null {
  return (MOVES[event] as Partial<Record<Status, Status>>)[status] ?? null;
}

/** Committed to be run: PENDING and STARTED. Everything that is neither NEW nor settled. */
export const OPEN_STATUSES: readonly Status[] = statusesBefore('started');

/** Nothing but a retry changes these: SUCCESS, FAILURE and REVOKED. */
export const SETTLED_STATUSES: readonly Status[] = STATUSES.filter((status) =>
  (Object.keys(MOVES) as JobEvent[]).every((event) => event === 'retried' || statusAfter(status, event) === null),
);

export function isSettled(status: Status): boolean {
  return SETTLED_STATUSES.includes(status);
}
