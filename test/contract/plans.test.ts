// Plans are kept: one that was made while a table had a few rows must still be right for a million. So it finds what it looks
// for by an index, whatever the planner thinks of the table. Real PostgreSQL.
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_POLICY } from '../../src/domain/job-policy.ts';
import { jobTableOf, libraryTables, type JobTable, type LibraryTables } from '../../src/mirror/job-table.ts';
import * as ofLanes from '../../src/mirror/lane-statements.ts';
import * as queries from '../../src/mirror/queries.ts';
import * as statements from '../../src/mirror/statements.ts';
import { AsyncJobAttempt, AsyncJobWorker } from '../../src/index.ts';
import { LANE_CLASSES, openShop, Parcel, SendInvoice, type Shop } from '../support/shop.ts';

type Builder = (table: JobTable, library: LibraryTables) => string;
const OWN = ['"note"'];

/** All that is sent on connections whose statements are prepared. */
const EACH: Record<string, Builder> = {
  dispatched: statements.dispatchedStatement,
  'dispatched, after a lock': statements.dispatchedAfterLockStatement,
  'the usual start': statements.usualStartStatement,
  'any start': statements.startStatement,
  waiting: statements.waitingStatement,
  progress: statements.progressStatement,
  saved: (table) => statements.savedStatement(table, OWN),
  succeeded: (table) => statements.succeededStatement(table, OWN),
  failed: statements.failedStatement,
  'handed back': statements.handedBackStatement,
  finalized: statements.finalizedStatement,
  ended: statements.endedStatement,
  'next run': statements.nextRunStatement,
  'why a start was refused': queries.startRefusalQuery,
  positions: queries.positionsQuery,
  'what is watched': queries.watchedQuery,
  'what is undispatched': queries.undispatchedQuery,
  'open runs': queries.openRunsQuery,
  'runs by id': queries.runsByIdQuery,
};
const OF_LANES: Record<string, Builder> = {
  'a claim': ofLanes.claimStatement,
  'a takeover': ofLanes.takeoverStatement,
  'whether there is work': ofLanes.laneWorkQuery,
  unhandled: ofLanes.unhandledStatement,
  'success of many': (table) => ofLanes.succeededManyStatement(table, []),
  'success of many with changes': (table) => ofLanes.succeededManyStatement(table, OWN),
  positions: queries.positionsQuery,
};

interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Cond'?: string;
  'Recheck Cond'?: string;
  'Index Name'?: string;
  'Join Filter'?: string;
  Plans?: Node[];
}

describe.each([3, 300])('with %d rows, the plan that is kept reads by an index', (count) => {
  let shop: Shop;
  let client: pg.Client;
  beforeAll(async () => {
    shop = await openShop({ engine: 'inline', classes: [...LANE_CLASSES, SendInvoice] });
    client = new pg.Client({ connectionString: shop.databaseUrl });
    await client.connect();
    for (const table of ['parcel', 'send_invoice'])
      await client.query(`insert into ${table} (status, run) select 'PENDING', 1 from generate_series(1, $1::int)`, [count]);
    await client.query('vacuum analyze parcel, send_invoice');
    await client.query('set enable_seqscan = off');
  });
  afterAll(async () => {
    await client?.end();
    await shop?.[Symbol.asyncDispose]();
  });

  const explained = async (jobClass: typeof Parcel | typeof SendInvoice, builder: Builder) => {
    const metadata = shop.app.orm.getMetadata();
    const lane = jobClass === Parcel ? { concurrency: 1, lingerMs: 0 } : null;
    const table = jobTableOf(jobClass.name, metadata.get(jobClass as never), { policy: { ...DEFAULT_POLICY, lane } });
    const statement = builder(table, libraryTables(metadata, { attempts: AsyncJobAttempt, workers: AsyncJobWorker }));
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(`explain (generic_plan, format json) ${statement}`);
    const [{ Plan: plan }] = rows[0]!['QUERY PLAN'];
    return { whole: scansOf(plan, unquotedName(table.name)).filter(isWhole), filteredJoins: filteredJoinsOf(plan) };
  };

  it.each(Object.entries(EACH))('%s', async (_name, builder) => {
    expect((await explained(SendInvoice, builder)).whole).toEqual([]);
  });

  it.each(Object.entries(OF_LANES))('in lanes: %s', async (_name, builder) => {
    expect((await explained(Parcel, builder)).whole).toEqual([]);
  });

  it('what is told of many rows looks them up, instead of comparing all with all', async () => {
    for (const name of ['dispatched', 'dispatched, after a lock'])
      expect((await explained(SendInvoice, EACH[name]!)).filteredJoins).toEqual([]);
    for (const name of ['success of many', 'success of many with changes'])
      expect((await explained(Parcel, OF_LANES[name]!)).filteredJoins).toEqual([]);
  });
});

function scansOf(node: Node, relation: string): Node[] {
  const { Plans = [], ...self } = node;
  return [
    ...(node['Relation Name'] === relation && node['Node Type'].includes('Scan') ? [self] : []),
    ...Plans.flatMap((each) => scansOf(each, relation)),
  ];
}

/** Each row of one side is compared with each of the other. */
function filteredJoinsOf(node: Node): Node[] {
  const { Plans = [], ...self } = node;
  return [...(node['Join Filter'] === undefined ? [] : [self]), ...Plans.flatMap(filteredJoinsOf)];
}

/** Neither by a condition of an index, nor of a partial index that only has what is wanted. */
function isWhole(scan: Node): boolean {
  const isByPlace = scan['Node Type'] === 'Tid Scan';
  const isPartial = /enqueued_at|next_attempt|_id_index/.test(scan['Index Name'] ?? '');
  return !isByPlace && !isPartial && scan['Index Cond'] === undefined && scan['Recheck Cond'] === undefined;
}

function unquotedName(name: string): string {
  return name.split('.').at(-1)!.replaceAll('"', '');
}
