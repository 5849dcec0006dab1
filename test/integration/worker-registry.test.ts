// The worker registry against starts: which beats may come between the listing of a job and its start, and during a claim.
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { StartedRow } from '../../src/domain/ports.ts';
import { WorkerRegistry } from '../../src/mirror/worker-registry.ts';
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

async function openRegistry({ ttlMs }: { ttlMs: number }) {
  const pool = new pg.Pool({ connectionString: shop.databaseUrl, max: 2 });
  const worker = { id: `claims-${crypto.randomUUID()}`, application: '', host: 'h', pid: 1, version: '0', queues: [], concurrency: 1 };
  const registry = new WorkerRegistry(pool, { workers: 'async_job_worker', worker, ttlMs }, pino({ level: 'silent' }));
  await registry.start();
  return { pool, worker, registry, [Symbol.asyncDispose]: () => pool.end() };
}

it.each([
  ['for longer than half a time to live takes nobody for dead until all had a whole one to speak', '31 seconds', true],
  ['for less goes on as before', '20 seconds', false],
])('a worker whose own beats were away %s', async (_, away, beginsAnew) => {
  await using opened = await openRegistry({ ttlMs: 60_000 });
  const { pool, worker, registry } = opened;
  await pool.query(
    `update async_job_worker set alive_since = now() - interval '1 hour', seen_at = now() - $2::interval,
       expires_at = now() - $2::interval + interval '60 seconds' where id = $1`,
    [worker.id, away],
  );
  await registry.beat();
  const { rows } = await pool.query(`select alive_since > now() - interval '30 minutes' as anew from async_job_worker where id = $1`, [
    worker.id,
  ]);
  expect(rows).toEqual([{ anew: beginsAnew }]);
});

it('a beat waits for the answer to a claim, and the next claim for that beat, so that what was claimed is on its list', async () => {
  await using opened = await openRegistry({ ttlMs: 60_000 });
  const { pool, worker, registry } = opened;
  const published = async () =>
    (await pool.query<{ beat: number; jobs: string[] }>('select beat, jobs from async_job_worker where id = $1', [worker.id])).rows[0]!;
  const before = await published();
  const answer = Promise.withResolvers<StartedRow[]>();
  const order: string[] = [];
  const first = registry.claiming(async () => {
    await answer.promise;
    registry.list('claimed');
    order.push('first');
  });
  const beat = registry.beat().then(() => order.push('beat'));
  const second = registry.claiming(async () => void order.push('second'));
  await pause(200);
  expect(await published()).toEqual(before);
  answer.resolve([]);
  await Promise.all([first, beat, second]);
  expect(order).toEqual(['first', 'beat', 'second']);
  expect(await published()).toEqual({ beat: before.beat + 1, jobs: ['claimed'] });
  await registry.stop();
});

it('a claim that gets no answer does not cost the worker its row: it is renewed, without a list', async () => {
  const ttlMs = 1_000;
  await using opened = await openRegistry({ ttlMs });
  const { pool, worker, registry } = opened;
  const row = async () =>
    (await pool.query<{ beat: number; expires_at: Date }>('select beat, expires_at from async_job_worker where id = $1', [worker.id]))
      .rows[0]!;
  const answer = Promise.withResolvers<void>();
  let during!: Awaited<ReturnType<typeof row>>;
  const claim = registry.claiming(async () => {
    during = await row();
    await answer.promise;
  });
  const renewed = await until(async () => {
    const now = await row();
    return during && now.expires_at.getTime() > during.expires_at.getTime() + ttlMs ? now : null;
  });
  expect(renewed.beat).toBe(during.beat);
  answer.resolve();
  await claim;
  // The beat that is under way may be a renewal still.
  await until(async () => (await row()).beat > during.beat);
  await registry.stop();
});
