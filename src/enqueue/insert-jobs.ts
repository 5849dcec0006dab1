// The INSERT of many jobs: one statement whose values are one JSON document, from which PostgreSQL reads them by the columns'
// own types. A statement with a parameter per value takes three times as long, for PostgreSQL and here.
import { isRaw, ReferenceKind, type EntityMetadata } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { AsyncJob } from '../entity/async-job.ts';
import type { JobClass } from '../entity/job-types.ts';
import { forDriver } from '../entity/own-changes.ts';
import { changesDocument } from '../mirror/changes-document.ts';
import type { JobTable } from '../mirror/job-table.ts';
import type { InitialState } from './create-job.ts';
import { execute } from './execute.ts';

type PreparedRow = Record<string, unknown>;

export interface JobsToInsert {
  jobClass: JobClass;
  jobs: readonly AsyncJob[];
  /** What was assigned to all of them. */
  initial: InitialState;
}

/** Returns what inserts them, in the transaction of `em`; nobody manages them. */
export function prepareInsert(em: EntityManager, table: JobTable, { jobClass, jobs, initial }: JobsToInsert): () => Promise<void> {
  const comparator = em.getComparator();
  const rows = jobs.map((job) => comparator.prepareEntity(job as never) as PreparedRow);
  const documents = em.schema === undefined ? documentsOf(em, table, { jobClass, rows, initial }) : null;
  if (!documents) return () => insertByMikroOrm(em, jobClass, rows);
  return async () => {
    for (const alike of documents) await execute(em, ...insertStatement(table, alike, initial));
  };
}

/** Of rows that set the same columns; in the others the database's defaults apply. */
interface Documents {
  columns: readonly string[];
  documents: string[];
}

/** `null`: MikroORM would write something differently. */
function documentsOf(
  em: EntityManager,
  table: JobTable,
  { jobClass, rows, initial }: { jobClass: JobClass; rows: readonly PreparedRow[]; initial: InitialState },
): Documents[] | null {
  const meta = em.getMetadata().get(jobClass as never) as EntityMetadata;
  if (meta.root.inheritanceType) return null;
  const byColumns = new Map<string, Documents>();
  for (const row of rows) {
    const values: Record<string, unknown> = {};
    for (const property in row) {
      const value = row[property];
      if (value === undefined || property in initial) continue;
      const column = table.columns[property];
      if (column === undefined || isWrittenDifferently(meta, property, value)) return null;
      values[column] = forDriver(em, value);
    }
    const document = changesDocument(table, values);
    if (document === null) return null;
    const columns = Object.keys(values);
    const key = columns.join();
    const alike = byColumns.get(key);
    if (alike) alike.documents.push(document);
    else byColumns.set(key, { columns, documents: [document] });
  }
  return [...byColumns.values()];
}

function isWrittenDifferently(meta: EntityMetadata, property: string, value: unknown): boolean {
  const { kind, object, nullable, default: byDefault } = meta.properties[property as never] as EntityMetadata['props'][number];
  if (value === null) return !nullable && byDefault !== undefined;
  return isRaw(value) || (kind === ReferenceKind.EMBEDDED && object === true);
}

function insertStatement({ name, columns: c }: JobTable, { columns, documents }: Documents, initial: InitialState): [string, unknown[]] {
  const parameters: unknown[] = [`[${documents.join(',')}]`];
  const ofAll = Object.entries(initial).map(([property, value]) => ({
    column: c[property]!,
    written: isRaw(value) ? value.sql : `$${parameters.push(value)}`,
  }));
  const into = [...columns, ...ofAll.map(({ column }) => column)].join(', ');
  const values = [...columns.map((column) => `r.${column}`), ...ofAll.map(({ written }) => written)].join(', ');
  return [`insert into ${name} (${into}) select ${values} from json_populate_recordset(null::${name}, $1::json) r`, parameters];
}

// em.insertMany would split it by MikroORM's own batch size.
async function insertByMikroOrm(em: EntityManager, jobClass: JobClass, rows: readonly PreparedRow[]): Promise<void> {
  const ctx = em.getTransactionContext();
  await em
    .getDriver()
    .nativeInsertMany(jobClass as never, rows as never, { convertCustomTypes: false, processCollections: false, ...(ctx ? { ctx } : {}) });
}
