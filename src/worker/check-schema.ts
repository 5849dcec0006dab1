// A worker does not start on tables that the code does not fit: one query per table asks for every column.
import type { Pool } from 'pg';
import type { ApplicationParts } from '../app/application-parts.ts';
import { AsyncJobError } from '../domain/errors.ts';
import { isSchemaError } from '../mirror/transient.ts';

/** @throws AsyncJobError `database.schema`, naming every table that does not fit */
export async function checkSchema(pool: Pool, { tables, library }: Pick<ApplicationParts, 'tables' | 'library'>): Promise<void> {
  const queries = [
    ...[...tables.values()].map(({ jobType, name, columns }) => ({
      what: `'${jobType}'`,
      query: `select ${Object.values(columns).join(', ')} from ${name} where false`,
    })),
    {
      what: 'the attempt history',
      query: `select job_type, job_id, run, attempt, outcome, worker_id, started_at, ended_at, error, error_message from ${library.attempts} where false`,
    },
    {
      what: 'the worker registry',
      query: `select id, beat, jobs, alive_since, expires_at, stopped_at from ${library.workers} where false`,
    },
  ];
  const problems: string[] = [];
  for (const { what, query } of queries) {
    try {
      await pool.query(query);
    } catch (error) {
      if (!isSchemaError(error)) throw error;
      problems.push(`${what}: ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) {
    throw new AsyncJobError(
      'database.schema',
      `tables are missing or out of date:\n  ${problems.join('\n  ')}\nRun the application's migrations (npx mikro-orm migration:up), or for a first try orm.schema.update().`,
    );
  }
}
