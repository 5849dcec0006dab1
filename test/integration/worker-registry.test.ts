// The worker registry against a start: which beats may come between the listing of a job and its start.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openShop, SendInvoice, type Shop } from '../support/shop.ts';
import { until } from '../support/until.ts';

let shop: Shop;
beforeAll(async () => {
  shop = await openShop();
});
afterAll(() => shop?.[Symbol.asyncDispose]());

const waitingBeat = `select 1 from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into%async_job_worker%'`;
const held = `select w.beat, j.holder_beat, w.jobs @> to_jsonb(j.id::text) as listed
  from async_job_worker w join send_invoice j on j.holder = w.id`;

it('a listing waits for a beat that does not know it, so that a running job is never without a worker', async () => {
  const worker = await shop.work();
  let hasBegun!: () => void;
  const begun = new Promise<void>((resolve) => (hasBegun = resolve));
  let mayEnd!: () => void;
  const end = new Promise<void>((resolve) => (mayEnd = resolve));
  using _ = shop.app.handle(SendInvoice, async () => {
    hasBegun();
    await end;
  });
  await until(async () => (await shop.db.query('select 1 from async_job_worker where id = $1', [worker.id])).rowCount === 1);
  const keeper = await shop.db.connect();
  try {
    await keeper.query('begin');
    await keeper.query('select 1 from async_job_worker where id = $1 for update', [worker.id]);
    await until(async () => (await shop.db.query(waitingBeat)).rowCount);
    await SendInvoice.enqueue();
    // Shorter than the registry's time to live.
    await Promise.race([begun, pause(1_000)]);
  } finally {
    await keeper.query('commit');
    keeper.release();
  }
  await begun;
  const seen = await until(async () => {
    const [row] = (await shop.db.query<{ beat: number; holder_beat: number; listed: boolean }>(held)).rows;
    return row && row.beat > row.holder_beat ? row : null;
  });
  mayEnd();
  expect(seen.listed).toBe(true);
});
