// Every statement that writes a lifecycle column, one builder each, with its guard. Nothing else in this library, and
// no flush of the application, writes them. Parameters are numbered as in the builder's comment; `j` is the job's row.
import { OPEN_STATUSES, statusesBefore, type JobEvent, type Status } from '../domain/lifecycle.ts';
import type { JobTable, LibraryTables } from './job-table.ts';

type Builder = (table: JobTable, library: LibraryTables) => string;

export const list = (statuses: readonly Status[]) => statuses.map((status) => `'${status}'`).join(', ');
export const leaves = (event: JobEvent) => list(statusesBefore(event));

/** The attempt that writes is the one that the row knows: $1 id, $2 run, $3 attempt, $4 run id. */
const mine = ({ columns: c }: JobTable) => `j.${c.id} = $1 and j.${c.run} = $2 and j.${c.attempt} = $3 and j.${c.runId} = $4`;

/**
 * The row's holder lives and either says that it runs the job, or has not published its list since it started it. A
 * holder that has expired counts as alive while this worker ($me) has itself been alive, without a gap, for less than a
 * time to live: after an outage of PostgreSQL rows look expired, this worker's own perhaps, too (beat.ts says what a gap
 * is). Correlated, so that it is judged anew when the row changed while the statement waited for it.
 */
export const heldByAnother = ({ columns: c }: JobTable, { workers }: LibraryTables, me: string) =>
  `exists (select 1 from ${workers} h where h.id = j.${c.holder} and h.stopped_at is null and case
     when h.expires_at > now() then h.jobs @> to_jsonb(j.${c.id}::text) or h.beat <= j.${c.holderBeat}
     else exists (select 1 from ${workers} w where w.id = ${me} and (w.alive_since > now() - (w.expires_at - w.seen_at)
       or w.seen_at < now() - (w.expires_at - w.seen_at) / 2)) end)`;

/** Where the holder is this very process ($me), what it really runs counts, not what it published. */
export const held = (table: JobTable, library: LibraryTables, me: string, runningHere: string) =>
  `(case when j.${table.columns.holder} = ${me} then ${runningHere} else ${heldByAnother(table, library, me)} end)`;

/** The row's holder is another worker whose registry row ran out without an orderly end. */
export const holderDied = ({ columns: c }: JobTable, { workers }: LibraryTables, me: string) =>
  `(j.${c.holder} is not null and j.${c.holder} is distinct from ${me}
     and not exists (select 1 from ${workers} h where h.id = j.${c.holder} and (h.stopped_at is not null or h.expires_at > now())))`;

/** This worker may start jobs: its own registry row is fresh. Null = no worker process (the inline engine). */
export const ownBeatFresh = ({ workers }: LibraryTables, me: string) =>
  `(${me} is null or exists (select 1 from ${workers} w where w.id = ${me} and w.stopped_at is null and w.expires_at > now()))`;

const setColumns = (table: JobTable, own: readonly string[], first: number) =>
  own.map((column, i) => `, ${column} = $${first + i}`).join('');

/**
 * Jobs among $1 (ids) in a status that the event may leave. Their rows are locked in the order of ids, so that two
 * statements about the same many jobs do not deadlock. The guard stands in the statement itself, too.
 */
const movable = ({ name, columns: c }: JobTable, event: JobEvent) =>
  `with movable as (select l.${c.id} as id from ${name} l where l.${c.id} = any($1::uuid[]) and l.${c.status} in (${leaves(event)})
      order by l.${c.id} for update)`;

/** From when on it may start. Lanes find it by the time of its next attempt; who dispatches tells Temporal. */
const notBefore = ({ columns: c, lane }: JobTable) => `${c.runAt} = $3::timestamptz${lane ? `, ${c.nextAttemptAt} = $3::timestamptz` : ''}`;

/** Locks them, so that what else is asked of them holds until the transaction ends. $1 ids. */
export const lockStatement = (table: JobTable, event: JobEvent): string => `${movable(table, event)} select count(*) from movable`;

/** NEW → PENDING. $1 id, $2 queue or null, $3 not before or null, $4 priority or null, then own columns. */
export const enqueueStatement = (table: JobTable, own: readonly string[]): string => {
  const c = table.columns;
  return `update ${table.name} j set ${c.status} = 'PENDING', ${c.run} = j.${c.run} + 1, ${c.queue} = coalesce($2::text, j.${c.queue}),
      ${notBefore(table)}, ${c.priority} = coalesce($4::smallint, j.${c.priority}), ${c.enqueuedAt} = now(), ${c.updatedAt} = now()${setColumns(table, own, 5)}
    where j.${c.id} = $1 and j.${c.status} in (${leaves('enqueued')})
    returning *`;
};

/**
 * FAILURE, REVOKED → PENDING, next run; the holder stays, since its execution may still live. $1 ids, then as for
 * enqueue; own columns are those of a single job.
 */
export const retryStatement = (table: JobTable, own: readonly string[]): string => {
  const { name, columns: c, lane } = table;
  return `${movable(table, 'retried')}
    update ${name} j set ${c.status} = 'PENDING', ${c.run} = j.${c.run} + 1, ${c.queue} = coalesce($2::text, j.${c.queue}),
      ${notBefore(table)}, ${c.priority} = coalesce($4::smallint, j.${c.priority}), ${c.enqueuedAt} = now(), ${c.updatedAt} = now(),
      ${c.attempt} = 0, ${c.failures} = 0, ${c.crashes} = 0, ${c.runId} = null, ${c.workflowId} = null,
      ${c.startedAt} = null, ${c.endedAt} = null,${lane ? '' : ` ${c.nextAttemptAt} = null,`} ${c.progress} = null, ${c.progressMessage} = null,
      ${c.output} = null, ${c.error} = null, ${c.errorMessage} = null,
      ${c.revokeRequestedAt} = null, ${c.revokeReason} = null, ${c.revokedBy} = null${setColumns(table, own, 5)}
    from movable where j.${c.id} = movable.id and j.${c.status} in (${leaves('retried')})
    returning j.*`;
};

/** Where workers LISTEN for revocations, in every database. The payload is the job's id, or what a listener says to itself. */
export const REVOCATIONS_CHANNEL = 'asyncjob';

/** Where workers LISTEN for jobs of lanes. The payload is the queue. */
export const LANES_CHANNEL = 'asyncjob_lane';

/** Tells workers that a queue has jobs for a lane. $1 queue. */
export const wakeLanesStatement = `select pg_notify('${LANES_CHANNEL}', $1)`;

/**
 * NEW, PENDING → REVOKED; STARTED → intent only, unless terminated. Where a worker may be at work it is told, by
 * PostgreSQL and with the outermost commit. (Only there: commits that notify wait for each other.)
 * $1 ids, $2 reason, $3 by, $4 terminate.
 */
export const revokeStatement = (table: JobTable): string => {
  const { name, columns: c } = table;
  const atOnce = `(j.${c.status} in ('NEW', 'PENDING') or $4::boolean)`;
  return `${movable(table, 'revoked')}
    update ${name} j set ${c.status} = case when ${atOnce} then 'REVOKED' else j.${c.status} end,
      ${c.endedAt} = case when ${atOnce} then now() else j.${c.endedAt} end,
      ${c.nextAttemptAt} = case when ${atOnce} then null else j.${c.nextAttemptAt} end,
      ${c.revokeRequestedAt} = coalesce(j.${c.revokeRequestedAt}, now()), ${c.revokeReason} = coalesce($2::text, j.${c.revokeReason}),
      ${c.revokedBy} = coalesce($3::text, j.${c.revokedBy}), ${c.updatedAt} = now()
    from movable where j.${c.id} = movable.id and j.${c.status} in (${leaves('revoked')})
    returning j.*, case when j.${c.holder} is not null then pg_notify('${REVOCATIONS_CHANNEL}', j.${c.id}::text) end as asyncjob_notified`;
};

/** What the engine has to know of the jobs that a statement moved, instead of their rows. */
export const movedRuns = ({ columns: c }: JobTable, statement: string): string =>
  `with moved as (${statement})
    select m.${c.id}::text as id, m.${c.run} as run, m.${c.runId} as run_id, m.${c.queue} as queue, m.${c.runAt} as run_at, m.${c.priority} as priority
    from moved m order by m.${c.id}`;

/**
 * `j.id = id`, for a join with a list of ids, said so that it can only be found by the index, one after the other. As an equality
 * the planner may join the whole table, if that is small when it makes the plan, which is kept (contract/plans).
 */
export const isRowOf = ({ columns: c }: JobTable, id: string): string => `j.${c.id} = any(array[${id}])`;

const dispatched =
  (whenLocked: string): Builder =>
  (table) => {
    const { name, columns: c } = table;
    return `with given as (select * from unnest($1::uuid[], $2::int[], $3::text[], $4::text[]) as g (id, run, run_id, workflow_id)),
    free as (select g.* from ${name} j join given g on ${isRowOf(table, 'g.id')}
      where j.${c.run} = g.run and j.${c.runId} is null for update of j ${whenLocked}),
    noted as (update ${name} j set ${c.runId} = free.run_id, ${c.workflowId} = free.workflow_id, ${c.updatedAt} = now()
      from free where ${isRowOf(table, 'free.id')} and j.${c.run} = free.run
      returning j.${c.id} as id, j.${c.run} as run, j.${c.runId} as run_id)
    select n.id::text as id, n.run, n.run_id, 'applied' as result from noted n
    union all
    select g.id::text, g.run, g.run_id, case when j.${c.runId} = g.run_id then 'duplicate' when j.${c.runId} is null then 'locked' else 'stale' end
      from given g join ${name} j on ${isRowOf(table, 'g.id')} and j.${c.run} = g.run
      where not exists (select 1 from noted n where n.id = g.id)`;
  };

/**
 * Notes the executions of many runs, where their starts have not done so. A row that somebody writes just now is passed over:
 * mostly it is its start. $1 ids, $2 runs, $3 run ids, $4 workflow ids.
 */
export const dispatchedStatement = dispatched('skip locked');

/** The same for what was passed over: waits for the row. Of one run, so that it waits for no second one. */
export const dispatchedAfterLockStatement = dispatched('');

/**
 * The start of an attempt in the usual case: PENDING, held by nobody, not to be revoked. Its guard is part of the whole
 * one's below, which is asked when this applies to nothing; it is planned in a fraction of the time.
 * $1 id, $2 run, $3 attempt, $4 run id, $5 workflow id, $6 this worker or null.
 */
export const usualStartStatement: Builder = ({ name, columns: c }, library) =>
  `update ${name} j set ${c.status} = 'STARTED', ${c.attempt} = $3, ${c.runId} = $4, ${c.workflowId} = $5, ${c.workerId} = $6::text, ${c.holder} = $6::text,
      ${c.holderBeat} = (select w.beat from ${library.workers} w where w.id = $6::text), ${c.startedAt} = now(), ${c.nextAttemptAt} = null, ${c.updatedAt} = now()
    where j.${c.id} = $1 and j.${c.run} = $2 and j.${c.status} = 'PENDING' and j.${c.attempt} < $3 and j.${c.holder} is null and j.${c.revokeRequestedAt} is null
      and ${ownBeatFresh(library, '$6::text')}
    returning *`;

/**
 * The start of an attempt, and the only place where a crash is counted.
 * $1 id, $2 run, $3 attempt, $4 run id, $5 workflow id, $6 this worker or null, $7 the job runs here already,
 * $8 crash retries, $9 error of a job that crashes repeatedly (jsonb), $10 its message, $11 job type.
 */
export const startStatement: Builder = (table, library) => {
  const c = table.columns;
  const died = `(j.${c.status} = 'STARTED' and ${holderDied(table, library, '$6::text')})`;
  const revoked = `j.${c.revokeRequestedAt} is not null`;
  const crashedTooOften = `(${died} and j.${c.crashes} + 1 > $8::int)`;
  const settled = `(${revoked} or ${crashedTooOften})`;
  const repeated = `(j.${c.attempt} = $3 and j.${c.runId} = $4 and j.${c.status} = 'STARTED' and j.${c.holder} = $6::text and not $7::boolean)`;
  return `with old as (select ${c.run} as run, ${c.attempt} as attempt, ${c.crashes} as crashes, ${c.workerId} as worker_id, ${c.startedAt} as started_at
      from ${table.name} where ${c.id} = $1),
    moved as (update ${table.name} j set
      ${c.status} = case when ${revoked} then 'REVOKED' when ${crashedTooOften} then 'FAILURE' else 'STARTED' end,
      ${c.crashes} = j.${c.crashes} + case when ${died} then 1 else 0 end,
      ${c.attempt} = case when ${settled} then j.${c.attempt} else $3 end,
      ${c.runId} = $4, ${c.workflowId} = $5,
      ${c.workerId} = case when ${settled} then j.${c.workerId} else $6::text end,
      ${c.holder} = case when ${settled} then j.${c.holder} else $6::text end,
      ${c.holderBeat} = case when ${settled} then j.${c.holderBeat} else (select w.beat from ${library.workers} w where w.id = $6::text) end,
      ${c.startedAt} = case when ${settled} then j.${c.startedAt} else now() end,
      ${c.endedAt} = case when ${settled} then now() end,
      ${c.error} = case when ${crashedTooOften} and not ${revoked} then $9::jsonb else j.${c.error} end,
      ${c.errorMessage} = case when ${crashedTooOften} and not ${revoked} then $10 else j.${c.errorMessage} end,
      ${c.nextAttemptAt} = null, ${c.updatedAt} = now()
    where j.${c.id} = $1 and j.${c.run} = $2 and j.${c.status} in (${leaves('started')}) and ${ownBeatFresh(library, '$6::text')}
      and (${repeated} or (j.${c.attempt} < $3 and not ${held(table, library, '$6::text', '$7::boolean')}))
    returning *),
    noted as (insert into ${library.attempts} (job_type, job_id, run, attempt, outcome, worker_id, started_at)
      select $11, $1, old.run, old.attempt, 'crashed', old.worker_id, old.started_at
      from moved m, old where m.${c.crashes} > old.crashes)
    select * from moved`;
};

/** Why a PENDING row does not start. $1 id, $2 run, $3 run id, $4 error (jsonb), $5 message, $6 next attempt at. */
export const waitingStatement: Builder = ({ name, columns: c }) =>
  `update ${name} j set ${c.error} = $4::jsonb, ${c.errorMessage} = $5, ${c.nextAttemptAt} = $6, ${c.updatedAt} = now()
    where j.${c.id} = $1 and j.${c.run} = $2 and j.${c.status} = 'PENDING' and (j.${c.runId} is null or j.${c.runId} = $3)
    returning j.${c.id}`;

/** $1–$4 mine, $5 progress or null, $6 whether there is a message, $7 message, $8 checkpoint (jsonb) or null. */
export const progressStatement: Builder = (table) => {
  const c = table.columns;
  return `update ${table.name} j set ${c.progress} = coalesce($5, j.${c.progress}), ${c.progressMessage} = case when $6::boolean then $7 else j.${c.progressMessage} end,
      ${c.checkpoint} = coalesce($8::jsonb, j.${c.checkpoint}), ${c.updatedAt} = now()
    where ${mine(table)} and j.${c.status} = 'STARTED'
    returning j.${c.revokeRequestedAt} is not null as revoke_requested`;
};

/** The handler's own columns while it runs. $1–$4 mine, then own columns. */
export const savedStatement = (table: JobTable, own: readonly string[]): string => {
  const c = table.columns;
  return `update ${table.name} j set ${c.updatedAt} = now()${setColumns(table, own, 5)}
    where ${mine(table)} and j.${c.status} = 'STARTED'
    returning j.${c.id}`;
};

/** STARTED → SUCCESS, with the handler's own columns. $1–$4 mine, $5 output (jsonb), then own columns. */
export const succeededStatement = (table: JobTable, own: readonly string[]): string => {
  const c = table.columns;
  return `update ${table.name} j set ${c.status} = 'SUCCESS', ${c.progress} = 1, ${c.output} = $5::jsonb, ${c.endedAt} = now(), ${c.updatedAt} = now(),
      ${c.holder} = null, ${c.holderBeat} = null, ${c.error} = null, ${c.errorMessage} = null, ${c.nextAttemptAt} = null${setColumns(table, own, 6)}
    where ${mine(table)} and j.${c.status} in (${leaves('succeeded')})
    returning j.${c.id}`;
};

/**
 * STARTED → PENDING, FAILURE, or REVOKED when that was asked for.
 * $1–$4 mine, $5 error (jsonb), $6 message, $7 next attempt at (null = FAILURE), $8 outcome, $9 job type,
 * $10 whether the handler is still at work (it ignored its time limit): then its holder stays, as for a last word.
 */
export const failedStatement: Builder = (table, library) => {
  const c = table.columns;
  const revoked = `j.${c.revokeRequestedAt} is not null`;
  return `with moved as (update ${table.name} j set
      ${c.status} = case when ${revoked} then 'REVOKED' when $7::timestamptz is null then 'FAILURE' else 'PENDING' end,
      ${c.failures} = j.${c.failures} + 1, ${c.holder} = case when $10::boolean then j.${c.holder} end, ${c.holderBeat} = case when $10::boolean then j.${c.holderBeat} end, ${c.error} = $5::jsonb, ${c.errorMessage} = $6,
      ${c.nextAttemptAt} = case when ${revoked} then null else $7::timestamptz end,
      ${c.endedAt} = case when ${revoked} or $7::timestamptz is null then now() end, ${c.updatedAt} = now()
    where ${mine(table)} and j.${c.status} in (${leaves('failed')}) and j.${c.status} = 'STARTED'
    returning *),
    noted as (insert into ${library.attempts} (job_type, job_id, run, attempt, outcome, worker_id, started_at, error, error_message)
      select $9, $1, $2, $3, case when m.${c.status} = 'REVOKED' then 'revoked' else $8 end, m.${c.workerId}, m.${c.startedAt}, $5::jsonb, $6 from moved m)
    select ${c.status} as status from moved`;
};

/** STARTED → PENDING, or REVOKED when that was asked for. Only once the handler has ended. $1–$4 mine, $5 message, $6 job type. */
export const handedBackStatement: Builder = (table, library) => {
  const c = table.columns;
  const revoked = `j.${c.revokeRequestedAt} is not null`;
  return `with moved as (update ${table.name} j set ${c.status} = case when ${revoked} then 'REVOKED' else 'PENDING' end,
      ${c.holder} = null, ${c.holderBeat} = null, ${c.endedAt} = case when ${revoked} then now() end, ${c.updatedAt} = now()
    where ${mine(table)} and j.${c.status} = 'STARTED'
    returning *),
    noted as (insert into ${library.attempts} (job_type, job_id, run, attempt, outcome, worker_id, started_at, error_message)
      select $6, $1, $2, $3, case when m.${c.status} = 'REVOKED' then 'revoked' else 'handed_back' end, m.${c.workerId}, m.${c.startedAt},
        case when m.${c.status} = 'REVOKED' then m.${c.revokeReason} else $5 end from moved m)
    select ${c.status} as status from moved`;
};

/**
 * The workflow's last word: PENDING, STARTED → FAILURE or REVOKED. The holder stays: its execution may still live.
 * $1 id, $2 run, $3 run id, $4 status, $5 error (jsonb) or null, $6 message or null, $7 job type.
 */
export const finalizedStatement: Builder = (table, library) => {
  const c = table.columns;
  const revoked = `($4 = 'REVOKED' or j.${c.revokeRequestedAt} is not null)`;
  return `with old as (select ${c.status} as status from ${table.name} where ${c.id} = $1),
    moved as (update ${table.name} j set ${c.status} = case when ${revoked} then 'REVOKED' else 'FAILURE' end,
      ${c.error} = case when ${revoked} then j.${c.error} else $5::jsonb end, ${c.errorMessage} = case when ${revoked} then j.${c.errorMessage} else $6 end,
      ${c.endedAt} = now(), ${c.nextAttemptAt} = null, ${c.updatedAt} = now(), ${c.runId} = $3
    where j.${c.id} = $1 and j.${c.run} = $2 and j.${c.status} in (${list(OPEN_STATUSES)}) and (j.${c.runId} is null or j.${c.runId} = $3)
    returning *),
    noted as (insert into ${library.attempts} (job_type, job_id, run, attempt, outcome, worker_id, started_at, error, error_message)
      select $7, $1, $2, m.${c.attempt}, case when m.${c.status} = 'REVOKED' then 'revoked' else 'time_limit' end, m.${c.workerId}, m.${c.startedAt}, $5::jsonb, $6
      from moved m, old where old.status = 'STARTED')
    select ${c.status} as status from moved`;
};

/**
 * The reconciler's word on an execution that somebody ended in Temporal: PENDING, STARTED → REVOKED. The holder stays.
 * $1 id, $2 run, $3 run id as it was read, or null, $4 reason or null, $5 by or null, $6 job type.
 */
export const endedStatement: Builder = (table, library) => {
  const { name, columns: c } = table;
  return `with old as (select ${c.status} as status from ${name} where ${c.id} = $1),
    moved as (update ${name} j set ${c.status} = 'REVOKED', ${c.endedAt} = now(), ${c.nextAttemptAt} = null, ${c.updatedAt} = now(),
      ${c.revokeReason} = coalesce(j.${c.revokeReason}, $4), ${c.revokedBy} = coalesce(j.${c.revokedBy}, $5)
    where j.${c.id} = $1 and j.${c.run} = $2 and j.${c.runId} is not distinct from $3 and j.${c.status} in (${list(OPEN_STATUSES)})
    returning *),
    noted as (insert into ${library.attempts} (job_type, job_id, run, attempt, outcome, worker_id, started_at, error_message)
      select $6, $1, $2, m.${c.attempt}, 'revoked', m.${c.workerId}, m.${c.startedAt}, m.${c.revokeReason} from moved m, old where old.status = 'STARTED')
    select ${c.status} as status from moved`;
};

/**
 * A run whose execution is gone, or had ended before: PENDING, the next run; REVOKED when that was asked for. Never while
 * the row's holder lives; holder and counters stay.
 * $1 id, $2 run, $3 run id as it was read, or null, $4 why, $5 job type, $6 the worker that decides, or null.
 */
export const nextRunStatement: Builder = (table, library) => {
  const { name, columns: c } = table;
  const revoked = `j.${c.revokeRequestedAt} is not null`;
  return `with old as (select ${c.status} as status, ${c.attempt} as attempt from ${name} where ${c.id} = $1),
    moved as (update ${name} j set ${c.status} = case when ${revoked} then 'REVOKED' else 'PENDING' end,
      ${c.run} = case when ${revoked} then j.${c.run} else j.${c.run} + 1 end, ${c.attempt} = case when ${revoked} then j.${c.attempt} else 0 end,
      ${c.runId} = case when ${revoked} then j.${c.runId} end, ${c.workflowId} = case when ${revoked} then j.${c.workflowId} end,
      ${c.enqueuedAt} = case when ${revoked} then j.${c.enqueuedAt} else now() end, ${c.nextAttemptAt} = null, ${c.endedAt} = case when ${revoked} then now() end, ${c.updatedAt} = now()
    where j.${c.id} = $1 and j.${c.run} = $2 and j.${c.runId} is not distinct from $3 and j.${c.status} in (${list(OPEN_STATUSES)})
      and not ${heldByAnother(table, library, '$6::text')}
    returning *),
    noted as (insert into ${library.attempts} (job_type, job_id, run, attempt, outcome, worker_id, started_at, error_message)
      select $5, $1, $2, old.attempt, case when m.${c.status} = 'REVOKED' then 'revoked' else 'lost' end, m.${c.workerId}, m.${c.startedAt}, $4
      from moved m, old where old.status = 'STARTED')
    select ${c.status} as status, ${c.run} as run, ${c.queue} as queue, ${c.runAt} as run_at, ${c.priority} as priority from moved`;
};
