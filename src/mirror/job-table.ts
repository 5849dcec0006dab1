// How a job class's table is called in SQL, read from MikroORM's metadata, so that naming strategies, schemas and
// renamed columns of the application are respected.
import { JsonType, type EntityMetadata, type MetadataStorage } from '@mikro-orm/core';
import { DEFAULT_POLICY, LANE_PRIORITY, type JobPolicy } from '../domain/job-policy.ts';

/** Names ready to be put into SQL: quoted, with the schema. */
export interface JobTable {
  jobType: string;
  name: string;
  /** Property → column. */
  columns: Record<string, string>;
  /** Columns (as in SQL) whose values are JSON documents. */
  jsonColumns: ReadonlySet<string>;
  /** Columns (as in SQL) of another type (a domain, a text) whose values are JSON documents all the same. */
  opaqueColumns: ReadonlySet<string>;
  /** Its jobs run in lanes; null: each has a workflow of its own. */
  lane: LaneTable | null;
}

export interface LaneTable {
  /** Of a job that was given none. */
  priority: number;
}

/** The library's own tables. */
export interface LibraryTables {
  attempts: string;
  workers: string;
}

export interface JobTableOptions {
  defaultSchema?: string | undefined;
  policy?: Pick<JobPolicy, 'lane' | 'priority'>;
}

export function jobTableOf(
  jobType: string,
  meta: EntityMetadata,
  { defaultSchema, policy = DEFAULT_POLICY }: JobTableOptions = {},
): JobTable {
  const columns: Record<string, string> = {};
  const jsonColumns = new Set<string>();
  const opaqueColumns = new Set<string>();
  for (const property of Object.values(meta.properties)) {
    const { name, fieldNames, columnTypes, customType, persist, formula } = property as {
      name: string;
      fieldNames?: string[];
      columnTypes?: string[];
      customType?: unknown;
      persist?: boolean;
      formula?: unknown;
    };
    if (persist === false || formula !== undefined) continue; // no column
    if (fieldNames?.length !== 1) continue;
    columns[name] = quoted(fieldNames[0]!);
    if (/^jsonb?$/i.test(columnTypes?.[0] ?? '')) jsonColumns.add(columns[name]);
    else if (customType instanceof JsonType) opaqueColumns.add(columns[name]);
  }
  const lane = policy.lane && { priority: policy.priority ?? LANE_PRIORITY };
  return { jobType, name: qualified(meta, defaultSchema), columns, jsonColumns, opaqueColumns, lane };
}

export function libraryTables(
  metadata: MetadataStorage,
  classes: { attempts: abstract new () => object; workers: abstract new () => object },
  defaultSchema?: string,
): LibraryTables {
  return {
    attempts: qualified(metadata.get(classes.attempts as never), defaultSchema),
    workers: qualified(metadata.get(classes.workers as never), defaultSchema),
  };
}

function qualified(meta: { schema?: string; tableName: string }, defaultSchema?: string): string {
  const schema = meta.schema ?? defaultSchema;
  return schema && schema !== '*' ? `${quoted(schema)}.${quoted(meta.tableName)}` : quoted(meta.tableName);
}

export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

export function unquoted(column: string): string {
  return column.slice(1, -1).replaceAll('""', '"');
}
