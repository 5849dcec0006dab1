// What a table's rows went through: also statuses that last too short to be seen by asking.
import type pg from 'pg';

export interface StatusChange {
  status: string;
  nextAttemptAt: Date | null;
}

/** Records from now on; returns how to read each status that the row of a job had since, in order. */
export async function recordChanges(db: pg.Pool, table: string): Promise<() => Promise<Map<string, StatusChange[]>>> {
  await db.query(`
    create table ${table}_change (n serial, job_id uuid, status text, next_attempt_at timestamptz);
    create function record_${table}() returns trigger language plpgsql as $$ begin
      insert into ${table}_change (job_id, status, next_attempt_at) values (new.id, new.status, new.next_attempt_at);
      return null;
    end $$;
    create trigger recorded after update on ${table} for each row
      when (old.status is distinct from new.status) execute function record_${table}();`);
  return async () => {
    const { rows } = await db.query<{ id: string } & StatusChange>(
      `select job_id as id, status, next_attempt_at as "nextAttemptAt" from ${table}_change order by n`,
    );
    return Map.groupBy(rows, ({ id }) => id);
  };
}
