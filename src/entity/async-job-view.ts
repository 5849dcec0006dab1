// A view over the jobs of all classes, for lists: the columns that every job has.
import { EntitySchema } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Status } from '../domain/lifecycle.ts';
import { AsyncJob } from './async-job.ts';
import { BASE_PROPERTIES, baseColumn, type BaseProperty } from './base-schema.ts';
import { columnOf, withFixedNames } from './fixed-names.ts';

export class AsyncJobView {
  declare jobType: string;
  declare id: string;
  declare status: Status;
  declare queue: string;
  declare run: number;
  declare attempt: number;
  declare progress?: number | null;
  declare progressMessage?: string | null;
  declare errorMessage?: string | null;
  declare workflowId?: string | null;
  declare workerId?: string | null;
  declare createdAt: Date;
  declare updatedAt: Date;
  declare enqueuedAt?: Date | null;
  declare runAt?: Date | null;
  declare startedAt?: Date | null;
  declare endedAt?: Date | null;
  declare nextAttemptAt?: Date | null;
}

// What a list shows; what is large (output, error, checkpoint) or only for the guards stays out.
const HIDDEN: readonly BaseProperty[] = [
  'id',
  'priority',
  'expiresAt',
  'uniqueKey',
  'failures',
  'crashes',
  'runId',
  'holder',
  'holderBeat',
  'checkpoint',
  'output',
  'error',
  'revokeRequestedAt',
  'revokeReason',
  'revokedBy',
];
const SHOWN = BASE_PROPERTIES.filter((name) => !HIDDEN.includes(name));

const properties: Record<string, object> = { jobType: { type: 'text', primary: true }, id: { type: 'uuid', primary: true } };
for (const name of SHOWN) {
  const {
    default: _default,
    defaultRaw: _defaultRaw,
    onCreate: _onCreate,
    onUpdate: _onUpdate,
    enum: _enum,
    items: _items,
    ...column
  } = baseColumn(name) as Record<string, unknown>;
  properties[name] = { ...column, nullable: true };
}

export const AsyncJobViewSchema = new EntitySchema<AsyncJobView>({
  class: AsyncJobView,
  tableName: 'async_job_view',
  view: true,
  expression: ((em: EntityManager) => unionOfAllJobs(em)) as never,
  properties: withFixedNames(properties) as never,
});

function unionOfAllJobs(em: EntityManager): string {
  const tables = [...em.getMetadata().getAll().values()]
    .filter((meta) => !meta.abstract && (meta.class as { prototype?: unknown } | undefined)?.prototype instanceof AsyncJob)
    .sort((a, b) => (a.tableName < b.tableName ? -1 : 1));
  const selects = tables.map((meta) => {
    const columns = ['id', ...SHOWN].map((name) => {
      const [column] = (meta.properties[name as never] as { fieldNames: string[] }).fieldNames;
      return column === columnOf(name) ? `"${column}"` : `"${column}" as "${columnOf(name)}"`;
    });
    const jobType = ((meta.class as { jobType?: string }).jobType ?? meta.className).replaceAll("'", "''");
    const schema = meta.schema ?? em.config.get('schema');
    const table = schema && schema !== '*' ? `"${schema}"."${meta.tableName}"` : `"${meta.tableName}"`;
    return `select '${jobType}'::text as job_type, ${columns.join(', ')} from ${table}`;
  });
  // Without a job class the view is empty, but exists.
  return selects.length > 0
    ? selects.join(' union all ')
    : `select ''::text as job_type, ${['id', ...SHOWN].map(() => 'null').join(', ')} where false`;
}
