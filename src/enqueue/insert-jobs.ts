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

/** Of a thousand rows; more would take longer than one with a parameter per value. */
const STATEMENTS_MAX = 10;

type PreparedRow = Record<string, unknown>;

export interface JobsToInsert {
  jobClass: JobClass;
  jobs: readonly AsyncJob[];
  /** What was assigned to all of them. */
  initial: InitialState;
  /** Its table has a column whose type is a domain: one that does not take null refuses rows that do not name it. */
  hasDomains: boolean;
}

/** Whether a column of the table is of a domain. */
export async function hasDomains(em: EntityManager, { name }: JobTable): Promise<boolean> {
  const [row] = await execute(
    em,
    `select exists (select 1 from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = $1::regclass and t.typtype = 'd' and not a.attisdropped) as has`,
    [name],
  );
  return row!['has'] === true;
}

/** Returns what inserts them, in the transaction of `em`; nobody manages them. */
export function prepareInsert(em: EntityManager, table: JobTable, of: JobsToInsert): () => Promise<void> {
  const { jobClass, jobs, initial } = of;
  const comparator = em.getComparator();
  const rows = jobs.map((job) => comparator.prepareEntity(job as never) as PreparedRow);
  const documents = em.schema === undefined && !of.hasDomains ? documentsOf(em, table, { jobClass, rows, initial }) : null;
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
  const all = [...byColumns.values()];
  return all.length === 1 || mayBeSplit(meta, all.length) ? all : null;
}

/** A statement of its own for each set of columns: no longer in their order, and seen by each other's foreign keys. */
function mayBeSplit(meta: EntityMetadata, statements: number): boolean {
  return statements <= STATEMENTS_MAX && !meta.selfReferencing && !meta.props.some(({ autoincrement }) => autoincrement);
}

function isWrittenDifferently(meta: EntityMetadata, property: string, value: unknown): boolean {
  const { kind, object, nullable, columnTypes } = meta.properties[property as never] as EntityMetadata['props'][number];
  if (value === null) return !nullable; // its default is meant
  if (typeof value === 'number') return !Number.isInteger(value) && /int|serial/i.test(columnTypes[0]!); // it is rounded
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
