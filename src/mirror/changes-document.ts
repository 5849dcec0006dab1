// A handler's own changes as one JSON document, from which PostgreSQL reads the values by the columns' own types.
import type { OwnChanges } from '../domain/ports.ts';
import { unquoted, type JobTable } from './job-table.ts';

/** `null`: a value among them would not arrive as the driver would write it. */
export function changesDocument({ jsonColumns, opaqueColumns }: JobTable, own: OwnChanges): string | null {
  let members = '';
  for (const column in own) {
    if (opaqueColumns.has(column)) return null;
    const written = jsonColumns.has(column) ? jsonOf(own[column]) : textOf(own[column]);
    if (written === null) return null;
    members += `${members && ','}${keyOf(column)}:${written}`;
  }
  return `{${members}}`;
}

const keys = new Map<string, string>();

function keyOf(column: string): string {
  let key = keys.get(column);
  if (key === undefined) keys.set(column, (key = JSON.stringify(unquoted(column))));
  return key;
}

/** The driver's value of a JSON column is the document's text. A JSON null would be read as SQL's. */
function jsonOf(value: unknown): string | null {
  if (value === null) return 'null';
  return typeof value === 'string' && value.trim() !== 'null' ? value : null;
}

/** As a JSON text whatever it is: so it is read as the driver's text would be, numbers too large for JSON included. */
function textOf(value: unknown): string | null {
  if (value === null) return 'null';
  if (Buffer.isBuffer(value)) return JSON.stringify(`\\x${value.toString('hex')}`);
  if (typeof value === 'string') return JSON.stringify(value.toWellFormed()); // as it becomes UTF-8
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean' ? JSON.stringify(String(value)) : null;
}
