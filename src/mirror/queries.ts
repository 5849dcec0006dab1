// What the mirror, the watch of attempts, the relay and the reconciler ask of the tables, one builder each. Reads only; who is
// taken for alive is asked in the words of the guards (statements.ts). `j` is the job's row.
import { OPEN_STATUSES } from '../domain/lifecycle.ts';
import type { JobTable, LibraryTables } from './job-table.ts';
import { held, heldByAnother, list, ownBeatFresh } from './statements.ts';

type Builder = (table: JobTable, library: LibraryTables) => string;

/** Why a start was refused. $1 id, $2 this worker or null, $3 the job runs here already. */
export const startRefusalQuery: Builder = (table, library) => {
  const c = table.columns;
  return `select j.${c.status} as status, j.${c.run} as run, j.${c.attempt} as attempt,
      ${held(table, library, '$2::text', '$3::boolean')} as held, ${ownBeatFresh(library, '$2::text')} as fresh
    from ${table.name} j where j.${c.id} = $1`;
};

/** What the rows know, for telling duplicates from stale facts. $1 ids. */
export const positionsQuery: Builder = ({ name, columns: c }) =>
  `select j.${c.id}::text as id, j.${c.status} as status, j.${c.run} as run, j.${c.attempt} as attempt, j.${c.runId} as run_id
    from ${name} j where j.${c.id} = any($1::uuid[])`;

/** Whether attempts that run here still have their rows, and whether revocation was asked for. $1 ids. */
export const watchedQuery: Builder = ({ name, columns: c }) =>
  `select j.${c.id}::text as id, j.${c.status} as status, j.${c.run} as run, j.${c.attempt} as attempt, j.${c.runId} as run_id,
      j.${c.revokeRequestedAt} is not null as revoke_requested
    from ${name} j where j.${c.id} = any($1::uuid[])`;

/**
 * Committed, never dispatched: the relay's sweep. Several times the batch, since others may be at work on the first
 * ones. $1 grace in milliseconds, $2 batch size.
 */
export const undispatchedQuery: Builder = ({ name, columns: c }) =>
  `select j.${c.id}::text as id, j.${c.run} as run, j.${c.queue} as queue, j.${c.runAt} as run_at, j.${c.priority} as priority,
      extract(epoch from now() - coalesce(j.${c.enqueuedAt}, j.${c.createdAt})) * 1000 as age_ms
    from ${name} j
    where j.${c.status} = 'PENDING' and j.${c.runId} is null and (j.${c.nextAttemptAt} is null or j.${c.nextAttemptAt} < now())
      and (j.${c.enqueuedAt} is null or j.${c.enqueuedAt} < now() - make_interval(secs => $1::float8 / 1000))
    order by j.${c.enqueuedAt}
    limit 4 * $2::int`;

/** What the reconciler, run by the worker `me`, reads of a row. */
const runFacts = (table: JobTable, library: LibraryTables, me: string): string => {
  const c = table.columns;
  const since = (moment: string) => `(extract(epoch from now() - ${moment}) * 1000)::float8`;
  return `j.${c.id}::text as id, j.${c.run} as run, j.${c.status} as status, j.${c.runId} as run_id, j.${c.revokeRequestedAt} is not null as revoke_requested,
      ${heldByAnother(table, library, me)} as held, case when j.${c.status} not in (${list(OPEN_STATUSES)}) then ${since(`coalesce(j.${c.endedAt}, j.${c.updatedAt})`)} end as settled_for_ms,
      ${since(`coalesce(j.${c.enqueuedAt}, j.${c.createdAt})`)} as enqueued_for_ms`;
};

/** A walk over the dispatched open rows. $1 after this id, or null, $2 how many, $3 quiet for so many milliseconds, $4 this worker or null. */
export const openRunsQuery: Builder = (table, library) => {
  const { name, columns: c } = table;
  return `select ${runFacts(table, library, '$4::text')} from ${name} j
    where j.${c.status} in (${list(OPEN_STATUSES)}) and ($1::uuid is null or j.${c.id} > $1::uuid) and j.${c.runId} is not null
      and coalesce(j.${c.startedAt}, j.${c.enqueuedAt}, j.${c.createdAt}) < now() - make_interval(secs => $3::float8 / 1000)
    order by j.${c.id} limit $2::int`;
};

/**
 * A walk over STARTED rows that nobody runs any more, or that should have been revoked by now.
 * $1 after this id, or null, $2 how many, $3 quiet for so many milliseconds, $4 this worker or null.
 */
export const doubtfulRunsQuery: Builder = (table, library) => {
  const { name, columns: c } = table;
  const longAgo = (moment: string) => `${moment} < now() - make_interval(secs => $3::float8 / 1000)`;
  return `select ${runFacts(table, library, '$4::text')} from ${name} j
    where j.${c.status} = 'STARTED' and j.${c.runId} is not null and ($1::uuid is null or j.${c.id} > $1::uuid)
      and case when j.${c.revokeRequestedAt} is not null then ${longAgo(`j.${c.revokeRequestedAt}`)}
        else ${longAgo(`j.${c.startedAt}`)} and not ${heldByAnother(table, library, '$4::text')} end
    order by j.${c.id} limit $2::int`;
};

/** $1 ids, $2 this worker or null. */
export const runsByIdQuery: Builder = (table, library) =>
  `select ${runFacts(table, library, '$2::text')} from ${table.name} j where j.${table.columns.id} = any($1::uuid[])`;
