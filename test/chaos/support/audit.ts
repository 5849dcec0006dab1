// A table that a trigger fills with every move of every job, whoever wrote it: what rows said, in order.
import type pg from 'pg';
import type { Status } from '../../../src/domain/lifecycle.ts';

/** One write of a row that changed its status, run, attempt, execution, holder or counters. */
export interface Move {
  jobType: string;
  jobId: string;
  /** `null`: the row was inserted. */
  from: Status | null;
  to: Status;
  run: number;
  attempt: number;
  runId: string | null;
  holder: string | null;
  failures: number;
  crashes: number;
  /** Milliseconds, by the clock of the machine. */
  at: number;
}

/** `tables`: job type → table, as SQL names it. */
export async function installAudit(db: pg.Pool, tables: ReadonlyMap<string, string>): Promise<void> {
  await db.query(`create table chaos_move (id bigserial primary key, job_type text, job_id uuid, "from" text, "to" text, run int, attempt int,
    run_id text, holder text, failures int, crashes int, at timestamptz(6) default clock_timestamp())`);
  await db.query('create index on chaos_move (job_id)');
  await db.query(`create function chaos_note() returns trigger language plpgsql as $$
    begin
      if tg_op = 'UPDATE' then
        if (old.status, old.run, old.attempt, old.run_id, old.holder, old.failures, old.crashes)
          is not distinct from (new.status, new.run, new.attempt, new.run_id, new.holder, new.failures, new.crashes) then return null; end if;
      end if;
      insert into chaos_move (job_type, job_id, "from", "to", run, attempt, run_id, holder, failures, crashes)
        values (tg_argv[0], new.id, case when tg_op = 'UPDATE' then old.status end, new.status, new.run, new.attempt, new.run_id, new.holder, new.failures, new.crashes);
      return null;
    end $$`);
  for (const [jobType, table] of tables) {
    await db.query(`create trigger chaos_note after insert or update on ${table} for each row execute function chaos_note('${jobType}')`);
  }
}

export async function readMoves(db: pg.Pool, jobId: string | null = null): Promise<Move[]> {
  const { rows } = await db.query<Move>(
    `select job_type as "jobType", job_id::text as "jobId", "from", "to", run, attempt, run_id as "runId", holder, failures, crashes,
      (extract(epoch from at) * 1000)::float8 as at
    from chaos_move where $1::uuid is null or job_id = $1 order by id`,
    [jobId],
  );
  return rows;
}
