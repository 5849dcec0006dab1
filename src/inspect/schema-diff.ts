// Whether the tables of jobs are what the metadata says: MikroORM's own comparison, restricted to what is ours.
import type { MikroORM } from '@mikro-orm/postgresql';
import { AsyncJobAttempt } from '../entity/async-job-attempt.ts';
import { AsyncJobView } from '../entity/async-job-view.ts';
import { AsyncJobWorker } from '../entity/async-job-worker.ts';
import { AsyncJob } from '../entity/async-job.ts';

/**
 * The statements that would bring job tables, library tables and the view up to date. Call it only when the database
 * is known to exist: MikroORM creates one that does not.
 */
export async function schemaDiff(orm: MikroORM): Promise<string[]> {
  const script = await orm.schema.getUpdateSchemaSQL({ wrap: false, dropTables: false });
  const { ours, all } = tableNames(orm);
  return statementsAbout(script, ours, all);
}

function tableNames(orm: MikroORM): { ours: string[]; all: string[] } {
  const library: unknown[] = [AsyncJobAttempt, AsyncJobWorker, AsyncJobView];
  const metadata = [...orm.getMetadata().getAll().values()].filter((meta) => !meta.abstract && meta.tableName);
  const ours = metadata.filter(
    (meta) => library.includes(meta.class) || (meta.class as { prototype?: unknown } | undefined)?.prototype instanceof AsyncJob,
  );
  return { ours: ours.map((meta) => meta.tableName), all: metadata.map((meta) => meta.tableName) };
}

const ABOUT = [
  // Its table, with or without a schema.
  /^(?:create|alter|drop|comment on) (?:table|view|column)(?: if (?:not )?exists)? (?:"[^"]+"\.)?"(?<table>[^"]+)"/,
  /^create (?:unique )?index (?:concurrently )?(?:if not exists )?"[^"]+" on (?:"[^"]+"\.)?"(?<table>[^"]+)"/,
  // Its index, which is named after its table.
  /^(?:drop|alter) index (?:if exists )?(?:"[^"]+"\.)?"(?<index>[^"]+)"/,
];

/** The statements of a script that are about some tables; `all`: every table's name, to tell whose an index is. */
export function statementsAbout(script: string, tables: readonly string[], all: readonly string[]): string[] {
  return script
    .split(/;\s*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => {
      const names = ABOUT.map((pattern) => pattern.exec(statement)?.groups).find((groups) => groups !== undefined);
      if (names === undefined) return false;
      const table = names['table'] ?? longestPrefix(names['index']!, all);
      return table !== undefined && tables.includes(table);
    });
}

function longestPrefix(index: string, tables: readonly string[]): string | undefined {
  return tables.filter((table) => index.startsWith(`${table}_`)).toSorted((a, b) => b.length - a.length)[0];
}

const REMOVAL = 'drop (?:column|constraint)(?: if exists)? "[^"]+"(?: cascade)?';
const ONLY_REMOVES = new RegExp(`^(?:drop index .*|alter table \\S+ ${REMOVAL}(?:, ${REMOVAL})*)$`);

/** Whether a statement only takes away what the code does not know: harmless while a newer version is rolled out. */
export function onlyRemoves(statement: string): boolean {
  return ONLY_REMOVES.test(statement);
}
