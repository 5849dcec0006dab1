// How a job class's table is called in SQL, read from MikroORM's metadata, so that naming strategies, schemas and
// renamed columns of the application are respected.
import type { EntityMetadata, MetadataStorage } from '@mikro-orm/core';

/** Names ready to be put into SQL: quoted, with the schema. */
export interface JobTable {
  jobType: string;
  name: string;
  /** Property → column. */
  columns: Record<string, string>;
}

/** The library's own tables. */
export interface LibraryTables {
  attempts: string;
  workers: string;
}

export function jobTableOf(jobType: string, meta: EntityMetadata, defaultSchema?: string): JobTable {
  const columns: Record<string, string> = {};
  for (const property of Object.values(meta.properties)) {
    const { name, fieldNames, persist, formula } = property as {
      name: string;
      fieldNames?: string[];
      persist?: boolean;
      formula?: unknown;
    };
    if (persist === false || formula !== undefined) continue; // no column
    if (fieldNames?.length === 1) columns[name] = quoted(fieldNames[0]!);
  }
  return { jobType, name: qualified(meta, defaultSchema), columns };
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
