// How the tables of an application are called in SQL, and whether its entities are such that the mirror can write them.
import type { MikroORM } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import { AsyncJobAttempt } from '../entity/async-job-attempt.ts';
import { AsyncJobWorker } from '../entity/async-job-worker.ts';
import { invalidSettings } from '../entity/invalid-settings.ts';
import { problemsOfColumns } from '../entity/own-changes.ts';
import type { HandlerTable } from '../handlers/handler-table.ts';
import { jobTableOf, libraryTables, type JobTable } from '../mirror/job-table.ts';
import type { ApplicationParts } from './application-parts.ts';

/** @throws AsyncJobError `job.not_an_entity` when the library's own are missing, `settings.invalid` */
export function describeTables(orm: MikroORM, handlers: HandlerTable): Pick<ApplicationParts, 'tables' | 'library'> {
  const metadata = orm.getMetadata();
  for (const entity of [AsyncJobAttempt, AsyncJobWorker]) {
    if (!metadata.find(entity as never)) {
      throw new AsyncJobError(
        'job.not_an_entity',
        `'${entity.name}' is not among the entities of the ORM. Put ...jobs(MyJob, …) into its entities: it adds the library's own.`,
      );
    }
  }
  const defaultSchema = orm.config.get('schema');
  const tables = new Map<string, JobTable>();
  const problems: string[] = [];
  for (const { jobType, jobClass, policy } of handlers.types.values()) {
    const meta = metadata.get(jobClass as never);
    problems.push(...problemsOfColumns(meta));
    tables.set(jobType, jobTableOf(jobType, meta, { defaultSchema, policy }));
  }
  if (problems.length > 0) throw invalidSettings('own columns', problems);
  return { tables, library: libraryTables(metadata, { attempts: AsyncJobAttempt, workers: AsyncJobWorker }, defaultSchema) };
}
