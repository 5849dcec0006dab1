// The statements of an inspection: reads only, one builder each. What may wait, run or be lost is asked in the words of
// the mirror's own guards (src/mirror/statements.ts).
import { OPEN_STATUSES, STATUSES, type Status } from '../domain/lifecycle.ts';
import type { JobTable, LibraryTables } from '../mirror/job-table.ts';

/** At most so many lost jobs are named. */
export const LOST_MAX = 20;
/** Who enqueued gets so long to dispatch by itself. */
const DISPATCH_GRACE_MS = 5_000;
/** Lanes are for jobs of seconds. */
const LONG_IN_LANE_MS = 60_000;

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
const list = (statuses: readonly Status[]) => statuses.map(literal).join(', ');
const ageMs = (since: string) => `(extract(epoch from now() - ${since}) * 1000)::float8`;

/** One row about the server that answers and what this session may do. */
export const serverQuery = `select current_database() as database, current_user as user, current_setting('server_version') as version,
    current_setting('transaction_read_only') = 'on' or pg_is_in_recovery() as is_read_only,
    (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms`;

/** Living workers, and those that went less than `$1` milliseconds ago. Jobs in lanes take none of a worker's slots. */
export const workersQuery = ({ workers }: LibraryTables, tables: readonly JobTable[]) => {
  const inLanes = tables
    .filter(({ lane }) => lane !== null)
    .map(({ name, columns: c }) => `exists (select 1 from ${name} j where j.${c['id']} = listed.id::uuid)`);
  return `select id, application, host, pid, version, queues, concurrency, jsonb_array_length(jobs) as running,
      (select count(*) from jsonb_array_elements_text(jobs) listed (id) where ${inLanes.join(' or ') || 'false'})::int as in_lanes,
      ${ageMs('started_at')} as started_ms_ago, ${ageMs('seen_at')} as seen_ms_ago,
      (extract(epoch from expires_at - seen_at) * 1000)::float8 as ttl_ms,
      case when stopped_at is not null then 'stopped' when expires_at > now() then 'alive' else 'dead' end as state,
      greatest(0, ${ageMs('coalesce(stopped_at, expires_at)')}) as gone_for_ms
    from ${workers}
    where coalesce(stopped_at, expires_at) > now() - make_interval(secs => $1::float8 / 1000)
    order by started_at desc
    limit 1000`;
};

/** The conditions and times that more than one statement asks for. */
function momentsOf({ columns: c, lane }: JobTable) {
  const pending = `j.${c['status']} = 'PENDING'`;
  const enqueuedAt = `coalesce(j.${c['enqueuedAt']}, j.${c['createdAt']})`;
  // What it waits for: its own time, or that of its next attempt. Nulls do not count in greatest().
  const dueAt = `greatest(${enqueuedAt}, j.${c['runAt']}, j.${c['nextAttemptAt']})`;
  const due = `${pending} and ${dueAt} <= now()`;
  // Jobs of lanes are never dispatched.
  const undispatched = lane
    ? 'false'
    : `${pending} and j.${c['runId']} is null and ${enqueuedAt} < now() - make_interval(secs => ${DISPATCH_GRACE_MS / 1_000})`;
  return { pending, enqueuedAt, dueAt, due, undispatched };
}

const howMany = (condition: string, name: string) => `count(*) filter (where ${condition})::int as ${name}`;
const oldest = (at: string, condition: string, name: string) => `${ageMs(`min(${at}) filter (where ${condition})`)} as ${name}`;

/** Jobs that are not settled, per type and queue. */
export function openJobsQuery(tables: Iterable<JobTable>): string {
  const selects = [...tables].map((table) => {
    const { jobType, name, columns: c } = table;
    const { pending, enqueuedAt, dueAt, due, undispatched } = momentsOf(table);
    const longInLane = table.lane
      ? `j.${c['status']} = 'STARTED' and j.${c['startedAt']} < now() - make_interval(secs => ${LONG_IN_LANE_MS / 1_000})`
      : 'false';
    const unhandled = `${pending} and j.${c['error']}->>'code' = 'handler.missing'`;
    return `select ${literal(jobType)} as job_type, j.${c['queue']} as queue, ${[
      howMany(`j.${c['status']} = 'STARTED'`, 'started'),
      howMany(due, 'due'),
      oldest(dueAt, due, 'oldest_due_ms'),
      howMany(`${pending} and ${dueAt} > now()`, 'later'),
      howMany(undispatched, 'undispatched'),
      oldest(enqueuedAt, undispatched, 'oldest_undispatched_ms'),
      howMany(unhandled, 'handler_missing'),
      oldest(enqueuedAt, unhandled, 'oldest_handler_missing_ms'),
      howMany(longInLane, 'long_in_lane'),
      oldest(`j.${c['startedAt']}`, longInLane, 'longest_in_lane_ms'),
    ].join(', ')} from ${name} j where j.${c['status']} in (${list(OPEN_STATUSES)}) group by j.${c['queue']}`;
  });
  return selects.join(' union all ');
}

/** How many jobs of each type and queue have each status; and of those that wait, since when. */
export function countsQuery(tables: Iterable<JobTable>): string {
  const selects = [...tables].map((table) => {
    const { jobType, name, columns: c } = table;
    const { enqueuedAt, dueAt, due, undispatched } = momentsOf(table);
    return `select ${literal(jobType)} as job_type, j.${c['queue']} as queue, ${[
      ...STATUSES.map((status) => howMany(`j.${c['status']} = ${literal(status)}`, `"${status}"`)),
      howMany(due, 'due'),
      oldest(dueAt, due, 'oldest_due_ms'),
      howMany(undispatched, 'undispatched'),
      oldest(enqueuedAt, undispatched, 'oldest_undispatched_ms'),
    ].join(', ')} from ${name} j group by j.${c['queue']}`;
  });
  return selects.join(' union all ');
}

/** STARTED rows that nobody runs: their holder does not live, or lives without them. */
export function lostJobsQuery(tables: Iterable<JobTable>, { workers }: LibraryTables): string {
  const selects = [...tables].map(
    ({ jobType, name, columns: c }) => `select ${literal(jobType)} as job_type, j.${c['id']}::text as id, j.${c['attempt']} as attempt,
      j.${c['holder']} as holder, ${ageMs(`j.${c['startedAt']}`)} as started_ms_ago,
      case when h.stopped_at is not null or h.expires_at <= now() then ${ageMs('coalesce(h.stopped_at, h.expires_at)')} end as holder_gone_for_ms,
      case when h.id is null then 'worker unknown' when h.stopped_at is not null then 'worker ended'
        when h.expires_at <= now() then 'worker died' else 'not run by its worker' end as why
    from ${name} j left join ${workers} h on h.id = j.${c['holder']}
    where j.${c['status']} = 'STARTED' and j.${c['holder']} is not null
      and not coalesce(h.stopped_at is null and h.expires_at > now()
        and (h.jobs @> to_jsonb(j.${c['id']}::text) or h.beat <= j.${c['holderBeat']}), false)`,
  );
  return `select * from (${selects.join('\nunion all\n')}) lost order by started_ms_ago desc nulls last limit ${LOST_MAX}`;
}

/** $1 id. The whole row of a job, and the database's clock. */
export const jobQuery = ({ name, columns: c }: JobTable) => `select j.*, now() as "@now" from ${name} j where j.${c['id']} = $1::uuid`;

/** $1 job type, $2 id. The attempts that did not simply succeed, in order, at most the last hundred. */
export const attemptsQuery = ({ attempts }: LibraryTables) =>
  `select * from (select id, run, attempt, outcome, worker_id, started_at, ended_at, error_message
      from ${attempts} where job_type = $1 and job_id = $2::uuid order by id desc limit 100) a order by id`;

/** $1 id. Whether a worker lives. */
export const workerStateQuery = ({ workers }: LibraryTables) =>
  `select case when stopped_at is not null then 'stopped' when expires_at > now() then 'alive' else 'dead' end as state,
      ${ageMs('seen_at')} as seen_ms_ago
    from ${workers} where id = $1`;
