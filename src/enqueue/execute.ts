// The mirror's statements through an EntityManager, and so in its transaction.
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Row } from '../domain/ports.ts';

export async function execute(em: EntityManager, statement: string, parameters: readonly unknown[]): Promise<Row[]> {
  return (await em.execute(...positional(statement, parameters))) as unknown as Row[];
}

/** Ids as the parameter of a `uuid[]`: MikroORM would write a list of values. */
export function idArray(ids: readonly string[]): string {
  return `{${ids.join(',')}}`;
}

/** Statements number their parameters; MikroORM's `execute` takes them in order. */
function positional(statement: string, parameters: readonly unknown[]): [string, unknown[]] {
  const ordered: unknown[] = [];
  const text = statement.replaceAll(/\$(\d+)/g, (_, number: string) => {
    ordered.push(parameters[Number(number) - 1]);
    return '?';
  });
  return [text, ordered];
}
