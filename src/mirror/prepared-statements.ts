// Statements on connections of the library's own, planned once per connection and not each time they are sent. What a
// prepared statement must not break: a pooler that gives every transaction another server connection, and a table that
// a migration changes while workers run.
import { createHash } from 'node:crypto';
import type { Pool } from 'pg';
import type { Row } from '../domain/ports.ts';

export interface SendOptions {
  pool: Pool;
  /** `false` behind a pooler that pools transactions. @default false */
  prepare?: boolean;
}

/** Per connection. Handlers that change now these and now those columns make many texts: the first ones are prepared. */
const PREPARED_MAX = 100;

export class PreparedStatements {
  readonly #pool: Pool;
  #isPreparing: boolean;
  #generation = 0;
  /** By their texts. */
  readonly #names = new Map<string, string>();

  constructor({ pool, prepare = false }: SendOptions) {
    this.#pool = pool;
    this.#isPreparing = prepare;
  }

  async send(text: string, values: unknown[], timeoutMs?: number): Promise<Row[]> {
    const query = { text, values, ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs }) };
    const name = this.#nameOf(text);
    if (name === undefined) return (await this.#pool.query(query)).rows as Row[];
    try {
      return (await this.#pool.query({ ...query, name })).rows as Row[];
    } catch (error) {
      // Both are said before anything was executed: the statement may be sent once more.
      if (isLost(error)) this.#isPreparing = false;
      else if (isOutdated(error)) this.#forget(name);
      else throw error;
      return (await this.#pool.query(query)).rows as Row[];
    }
  }

  #nameOf(text: string): string | undefined {
    if (!this.#isPreparing) return undefined;
    const known = this.#names.get(text);
    if (known !== undefined || this.#names.size >= PREPARED_MAX) return known;
    // By its text: where somebody else has prepared a statement of that name, it is the same one.
    const name = `asyncjob_${createHash('sha256').update(text).digest('hex').slice(0, 24)}_${this.#generation}`;
    this.#names.set(text, name);
    return name;
  }

  /** All get new names, since other statements about the table are outdated as well; once for all that find that out. */
  #forget(name: string): void {
    if (!name.endsWith(`_${this.#generation}`)) return;
    this.#generation += 1;
    this.#names.clear();
  }
}

/** Another server connection than the one that prepared it. */
function isLost(error: unknown): boolean {
  return ['26000', '42P05'].includes(codeOf(error));
}

/** A migration has changed what the statement returns. (The message is in the server's language.) */
function isOutdated(error: unknown): boolean {
  return codeOf(error) === '0A000' && (error as { routine?: unknown }).routine === 'RevalidateCachedQuery';
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code);
}
