// What stands in the database, as any SQL client would show it.
import type { EntityManager } from '@mikro-orm/postgresql';
import { table } from './table.ts';

export async function showRows(em: EntityManager, query: string): Promise<void> {
  const found = await em.execute<Record<string, string | number | null>[]>(query);
  const rows = found.map((row) => Object.values(row).map((value) => String(value ?? '')));
  const names = Object.keys(found[0] ?? {});
  const widths = names.map((name, index) => Math.max(name.length, ...rows.map((row) => row[index]!.length)));
  const columns = names.map((name, index) => [name, index === names.length - 1 ? 'rest' : widths[index]!] as const);
  console.log(`\n${query};\n${table(Object.fromEntries(columns), rows)}`);
}
