// The statements of lanes: many rows at once, with the guards of statements.ts. A claim is a start, so that it carries the
// same promises. `j` is the job's row.
import { unquoted, type JobTable, type LibraryTables } from './job-table.ts';
import { heldByAnother, holderDied, isRowOf, leaves, ownBeatFresh } from './statements.ts';

type Builder = (table: JobTable, library: LibraryTables) => string;

/** Neither this process ($2 worker, $3 ids of what it runs) nor another one is at work on the row. */
const isFree = (table: JobTable, library: LibraryTables) => {
  const { id, holder } = table.columns;
  return `j.${id} <> all($3::uuid[])
        and case when j.${holder} is null or j.${holder} = $2::text then true else not ${heldByAnother(table, library, '$2::text')} end`;
};

/**
 * PENDING rows that may be claimed, from one of the two indexes. They are locked, so that the update behind it finds them where
 * they are, and needs no guard of its own, for which it might use an index of all jobs.
 */
const claimable = (table: JobTable, library: LibraryTables, { due, order, limit }: { due: string; order: string; limit: string }) => {
  const { name, columns: c } = table;
  return `select j.ctid as at from ${name} j
      where j.${c.queue} = $1 and j.${c.status} = 'PENDING' and ${due} and (j.${c.runAt} is null or j.${c.runAt} <= now())
        and j.${c.revokeRequestedAt} is null and ${isFree(table, library)} and ${ownBeatFresh(library, '$2::text')}
      order by ${order} limit ${limit} for update skip locked`;
};

const againDue = ({ columns: c }: JobTable) => `j.${c.nextAttemptAt} is not null and j.${c.nextAttemptAt} <= now()`;
const neverTried = ({ columns: c }: JobTable) => `j.${c.nextAttemptAt} is null`;

/**
 * PENDING → STARTED, many at once.
 * $1 queue, $2 worker, $3 ids that run here, $4 how many, $5 run id, $6 workflow id, $7 how many places are kept for such as are
 * to be tried again, or waited for their time; they get those, too, that the others leave.
 */
export const claimStatement: Builder = (table, library) => {
  const { name, columns: c } = table;
  const again = (limit: string) => claimable(table, library, { due: againDue(table), order: `j.${c.nextAttemptAt}`, limit });
  const left = (by: string) => `$4::int - (select count(*) from ${by})`;
  const waiting = claimable(table, library, { due: neverTried(table), order: `j.${c.priority}, j.${c.enqueuedAt}`, limit: left('kept') });
  return `with kept as materialized (${again('$7::int')}), waiting as materialized (${waiting}), again as materialized (${again(left('waiting'))}),
    moved as (update ${name} j set ${c.status} = 'STARTED', ${c.attempt} = j.${c.attempt} + 1, ${c.runId} = $5, ${c.workflowId} = $6,
      ${c.workerId} = $2::text, ${c.holder} = $2::text, ${c.holderBeat} = (select w.beat from ${library.workers} w where w.id = $2::text),
      ${c.startedAt} = now(), ${c.nextAttemptAt} = null, ${c.updatedAt} = now()
    where j.ctid = any(array(select at from again union all select at from waiting))
    returning j.*)
    select * from moved order by ${c.priority}, ${c.enqueuedAt}`;
};

/**
 * STARTED rows that nobody is at work on, by whichever lane or worker they were started: the next attempt, and the only place
 * where a crash of a lane's job is counted. REVOKED when that was asked for, FAILURE after too many crashes.
 * $1 to $6 as for a claim, $7 crash retries, $8 error of a job that crashes repeatedly (jsonb), $9 its message, $10 job type.
 */
export const takeoverStatement: Builder = (table, library) => {
  const { name, columns: c } = table;
  const revoked = `j.${c.revokeRequestedAt} is not null`;
  const crashedTooOften = `(orphans.died and j.${c.crashes} + 1 > $7::int)`;
  const settled = `(${revoked} or ${crashedTooOften})`;
  const unlessSettled = (column: string, value: string) => `${column} = case when ${settled} then j.${column} else ${value} end`;
  return `with orphans as materialized (select j.ctid as at, j.${c.id} as id, j.${c.attempt} as attempt, j.${c.workerId} as worker_id, j.${c.startedAt} as started_at,
        ${holderDied(table, library, '$2::text')} as died
      from ${name} j
      where j.${c.queue} = $1 and j.${c.status} = 'STARTED' and ${isFree(table, library)} and ${ownBeatFresh(library, '$2::text')}
      limit $4::int for update skip locked),
    moved as (update ${name} j set
      ${c.status} = case when ${revoked} then 'REVOKED' when ${crashedTooOften} then 'FAILURE' else 'STARTED' end,
      ${c.crashes} = j.${c.crashes} + case when orphans.died then 1 else 0 end,
      ${unlessSettled(c.attempt!, `j.${c.attempt} + 1`)}, ${c.runId} = $5, ${c.workflowId} = $6,
      ${unlessSettled(c.workerId!, '$2::text')}, ${unlessSettled(c.holder!, '$2::text')},
      ${unlessSettled(c.holderBeat!, `(select w.beat from ${library.workers} w where w.id = $2::text)`)}, ${unlessSettled(c.startedAt!, 'now()')},
      ${c.endedAt} = case when ${settled} then now() end,
      ${c.error} = case when ${crashedTooOften} and not ${revoked} then $8::jsonb else j.${c.error} end,
      ${c.errorMessage} = case when ${crashedTooOften} and not ${revoked} then $9 else j.${c.errorMessage} end,
      ${c.nextAttemptAt} = null, ${c.updatedAt} = now()
    from orphans where j.ctid = orphans.at
    returning j.*),
    noted as (insert into ${library.attempts} (job_type, job_id, run, attempt, outcome, worker_id, started_at)
      select $10, m.${c.id}, m.${c.run}, orphans.attempt, 'crashed', orphans.worker_id, orphans.started_at
      from moved m join orphans on orphans.id = m.${c.id} where orphans.died)
    select * from moved`;
};

/** Rows that say at a time why they wait: those that would be claimed next. */
const UNHANDLED_MAX = 1_000;

/**
 * Why PENDING rows do not start: no handler. What is due only since a moment ago is left to workers that have one.
 * $1 queue, $2 worker, $3 ids that run here, $4 error (jsonb), $5 message.
 */
export const unhandledStatement: Builder = (table, library) => {
  const { name, columns: c } = table;
  const limit = String(UNHANDLED_MAX);
  const isSilent = `j.${c.error}->>'code' is distinct from 'handler.missing'
        and coalesce(j.${c.nextAttemptAt}, j.${c.enqueuedAt}, j.${c.createdAt}) < now() - interval '5 seconds'`;
  const silent = (due: string, order: string) => claimable(table, library, { due: `${due} and ${isSilent}`, order, limit });
  return `with waiting as materialized (${silent(neverTried(table), `j.${c.priority}, j.${c.enqueuedAt}`)}),
      again as materialized (${silent(againDue(table), `j.${c.nextAttemptAt}`)})
    update ${name} j set ${c.error} = $4::jsonb, ${c.errorMessage} = $5, ${c.updatedAt} = now()
    where j.ctid = any(array(select at from again union all select at from waiting))`;
};

/** Whether a lane would find something. $1 queue, $2 worker, $3 ids that run here. */
export const laneWorkQuery: Builder = (table, library) => {
  const { name, columns: c } = table;
  const some = (condition: string) =>
    `exists (select 1 from ${name} j where j.${c.queue} = $1 and ${condition} and ${isFree(table, library)})`;
  const pending = `j.${c.status} = 'PENDING' and j.${c.revokeRequestedAt} is null and (j.${c.runAt} is null or j.${c.runAt} <= now())`;
  return `select ${ownBeatFresh(library, '$2::text')} and (${some(`${pending} and ${neverTried(table)}`)}
      or ${some(`${pending} and ${againDue(table)}`)} or ${some(`j.${c.status} = 'STARTED'`)}) as has_work`;
};

/**
 * STARTED → SUCCESS, many at once, with the handlers' own columns `own` (as in SQL) where a row changed them; what a row did
 * not change stays. (The status is hidden from the planner: rows are to be found by their ids.)
 * $1 ids, $2 runs, $3 attempts, $4 run ids, $5 outputs (jsonb), $6 changes: documents of column → value.
 */
export const succeededManyStatement = (table: JobTable, own: readonly string[]): string => {
  const { name, columns: c } = table;
  // Its values are read by the columns' own types. Not from the row itself: that would unpack all of its large values.
  const changed = own.map((column) => `case when u.changes ? ${literal(unquoted(column))} then r.${column} else j.${column} end`);
  const ownColumns =
    own.length === 0 ? '' : `, (${own.join(', ')}) = (select ${changed.join(', ')} from jsonb_populate_record(null::${name}, u.changes) r)`;
  return `update ${name} j set ${c.status} = 'SUCCESS', ${c.progress} = 1, ${c.output} = u.output, ${c.endedAt} = now(), ${c.updatedAt} = now(),
      ${c.holder} = null, ${c.holderBeat} = null, ${c.error} = null, ${c.errorMessage} = null, ${c.nextAttemptAt} = null${ownColumns}
    from unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::jsonb[], $6::jsonb[]) u (id, run, attempt, run_id, output, changes)
    where ${isRowOf(table, 'u.id')} and j.${c.run} = u.run and j.${c.attempt} = u.attempt and j.${c.runId} = u.run_id
      and coalesce(j.${c.status}, '') in (${leaves('succeeded')})
    returning j.${c.id}::text as id`;
};

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
