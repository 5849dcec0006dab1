// What may happen to a prepared statement behind its sender's back. Real PostgreSQL, one connection.
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { PreparedStatements } from '../../src/mirror/prepared-statements.ts';
import { openShop, type Shop } from '../support/shop.ts';

const INSERT = 'insert into prepared (note) values ($1) returning *';
const COUNT = 'select count(*)::int as count from prepared';

let shop: Shop;
let pool: pg.Pool;
beforeAll(async () => {
  shop = await openShop({ engine: 'inline' });
  pool = new pg.Pool({ connectionString: shop.databaseUrl, max: 1 });
  // Its connection may still be closing when the database is dropped.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
});
afterAll(async () => {
  await pool?.end();
  await shop?.[Symbol.asyncDispose]();
});
beforeEach(() => pool.query('drop table if exists prepared; create table prepared (note text)'));

async function prepared(): Promise<string[]> {
  const { rows } = await pool.query<{ statement: string }>('select statement from pg_prepared_statements order by prepare_time');
  return rows.map(({ statement }) => statement);
}

it('are planned once per connection', async () => {
  const statements = new PreparedStatements({ pool, prepare: true });
  for (const note of ['a', 'b']) expect(await statements.send(INSERT, [note])).toEqual([{ note }]);
  expect((await prepared()).filter((statement) => statement === INSERT)).toHaveLength(1);
});

it('are not prepared where they must not be', async () => {
  const before = await prepared();
  expect(await new PreparedStatements({ pool }).send(INSERT, ['a'])).toEqual([{ note: 'a' }]);
  expect(await prepared()).toEqual(before);
});

it('follow a table that a migration changes', async () => {
  const statements = new PreparedStatements({ pool, prepare: true });
  await statements.send(INSERT, ['before']);
  await pool.query('alter table prepared add column more integer default 7');
  expect(await statements.send(INSERT, ['after'])).toEqual([{ note: 'after', more: 7 }]);
  expect(await statements.send(INSERT, ['again'])).toEqual([{ note: 'again', more: 7 }]);
  expect(await statements.send(COUNT, [])).toEqual([{ count: 3 }]);
});

it('are named by their text, whatever was prepared before', async () => {
  const nameOf = async (statement: string) =>
    (await pool.query<{ name: string }>('select name from pg_prepared_statements where statement = $1', [statement])).rows[0]?.name;
  await pool.query('deallocate all');
  await new PreparedStatements({ pool, prepare: true }).send(COUNT, []);
  const first = await nameOf(COUNT);
  // As another process behind the same pooler.
  await using another = await openAnother();
  await another.statements.send(INSERT, ['a']);
  await another.statements.send(COUNT, []);
  expect(await another.nameOf(COUNT)).toBe(first);
  expect(await another.nameOf(INSERT)).not.toBe(first);
});

async function openAnother() {
  const own = new pg.Pool({ connectionString: shop.databaseUrl, max: 1 });
  return {
    statements: new PreparedStatements({ pool: own, prepare: true }),
    nameOf: async (statement: string) =>
      (await own.query<{ name: string }>('select name from pg_prepared_statements where statement = $1', [statement])).rows[0]?.name,
    [Symbol.asyncDispose]: () => own.end(),
  };
}

it('are given up when the connection behind them is another one', async () => {
  const statements = new PreparedStatements({ pool, prepare: true });
  await statements.send(INSERT, ['a']);
  await pool.query('deallocate all');
  expect(await statements.send(INSERT, ['b'])).toEqual([{ note: 'b' }]);
  expect(await statements.send(INSERT, ['c'])).toEqual([{ note: 'c' }]);
  expect(await prepared()).toEqual([]);
  expect(await statements.send(COUNT, [])).toEqual([{ count: 3 }]);
});
