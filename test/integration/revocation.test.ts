// Revocation is durable intent: decided by the row, heard by a running handler within a second, with Temporal away and
// without a word from it; whoever it races with, one of the two wins.
import type { EntityManager } from '@mikro-orm/postgresql';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { SettingInputs } from '../../src/app/settings.ts';
import type { Status } from '../../src/index.ts';
import { openShop, SendInvoice, type Shop } from '../support/shop.ts';
import { recordChanges } from '../support/status-changes.ts';
import { until } from '../support/until.ts';

const NOBODY_LISTENS = { address: '127.0.0.1:9' };
// As in production: the watch looks every two seconds, so what is faster was heard.
const WATCHED_EVERY_TWO_SECONDS = { workerTtlMs: 15_000 };
const HEARD_WITHIN_MS = 1_000;
const LOOKED_UP_WITHIN_MS = 2_500;
const RACES = 60;
const RACES_AT_ONCE = 15;

/** Another process of the application, for which Temporal is away: what it revokes reaches workers through PostgreSQL only. */
function withoutTemporal(shop: Shop): Promise<Shop> {
  return openShop({ databaseUrl: shop.databaseUrl, name: shop.app.name, temporal: NOBODY_LISTENS });
}

/** Handlers that run until their signal aborts, and when that was. */
function untilAborted(shop: Shop) {
  const running = new Set<string>();
  const abortedAt = new Map<string, number>();
  const handler = shop.app.handle(SendInvoice, (task) => {
    running.add(task.id);
    return new Promise<never>((_, reject) => {
      task.signal.addEventListener('abort', () => {
        abortedAt.set(task.id, performance.now());
        reject(task.signal.reason as Error);
      });
    });
  });
  return { running, abortedAt, [Symbol.dispose]: () => handler[Symbol.dispose]() };
}

/** Milliseconds from the call of `revoke()` to the abort, of jobs that run, one after the other. */
async function latencies(
  shop: Shop,
  count: number,
  { before = async () => undefined, terminate = false }: { before?(): Promise<unknown>; terminate?: boolean } = {},
): Promise<number[]> {
  await using away = await withoutTemporal(shop);
  using handlers = untilAborted(shop);
  const ids = await shop.app.of(SendInvoice).enqueueMany(Array.from({ length: count }, () => ({})));
  await until(() => ids.every((id) => handlers.running.has(id)), { timeoutMs: 40_000 });
  const measured: number[] = [];
  for (const id of ids) {
    const job = (await away.app.of(SendInvoice).get(id))!;
    await before();
    const at = performance.now();
    const revoked = job.revoke({ terminate });
    measured.push((await until(() => handlers.abortedAt.get(id), { intervalMs: 5 })) - at);
    expect(await revoked).toBe(terminate ? 'REVOKED' : 'STARTED');
  }
  await until(async () => (await shop.app.of(SendInvoice).count({ id: { $in: ids }, status: 'REVOKED' })) === count);
  return measured;
}

/** What one stall cannot move. A way that is slow is slow each time: the next revocation comes just after a look. */
function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

async function openWorking(settings: SettingInputs = {}): Promise<Shop> {
  const shop = await openShop({ settings: { ...WATCHED_EVERY_TWO_SECONDS, ...settings } });
  await shop.work({ concurrency: 25 });
  return shop;
}

async function listeners({ db }: Shop): Promise<number[]> {
  const { rows } = await db.query<{ pid: number }>(
    "select pid from pg_stat_activity where datname = current_database() and query = 'listen asyncjob'",
  );
  return rows.map(({ pid }) => pid);
}

/** Whatever is said on the library's channel. */
async function overhear(shop: Shop) {
  const heard: string[] = [];
  const client = new pg.Client({ connectionString: shop.databaseUrl });
  // But not what workers say to themselves to find out whether they hear it.
  client.on('notification', ({ payload }) => void (payload!.startsWith('listening ') || heard.push(payload!)));
  await client.connect();
  await client.query('listen asyncjob');
  return {
    /** All that was committed before this call: notifications come in the order of commits. */
    async all(): Promise<string[]> {
      await shop.db.query("select pg_notify('asyncjob', 'so far')");
      await until(() => heard.includes('so far'));
      heard.splice(heard.indexOf('so far'), 1);
      return [...heard];
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

/**
 * `race` for many jobs, some at a time, until either has won. It says whether the revocation came too early; the next ones wait
 * longer then, or less, so that on any machine either wins about as often.
 */
async function races(race: (headStartMs: number, number: number) => Promise<boolean>): Promise<void> {
  const seen = new Set<boolean>();
  let number = 0;
  let headStartMs = 20;
  const next = async () => {
    while (number < RACES || seen.size < 2) {
      const isEarly = await race(headStartMs, number++);
      seen.add(isEarly);
      headStartMs *= isEarly ? 1.1 : 1 / 1.1;
    }
  };
  await Promise.all(Array.from({ length: RACES_AT_ONCE }, next));
}

describe('NEW and PENDING jobs', () => {
  let shop: Shop;
  beforeAll(async () => void (shop = await openShop({ temporal: NOBODY_LISTENS })));
  afterAll(() => shop?.[Symbol.asyncDispose]());

  it('are REVOKED in one statement with no worker and no Temporal', async () => {
    const invoices = shop.app.of(SendInvoice);
    const jobs = [await invoices.create(), await invoices.enqueue(), await invoices.enqueue({}, { delay: '1 hour' })];
    const statements = vi.spyOn(shop.app.orm.em.getConnection(), 'execute');
    for (const job of jobs) expect(await job.revoke({ reason: 'not needed', by: 'ada' })).toBe('REVOKED');
    expect(statements).toHaveBeenCalledTimes(jobs.length);
    for (const job of jobs) expect(await job.refresh()).toMatchObject({ status: 'REVOKED', revokeReason: 'not needed', revokedBy: 'ada' });
  });

  it('stay REVOKED, with the first reason, however often they are revoked', async () => {
    const job = await shop.app.of(SendInvoice).enqueue();
    await job.revoke({ reason: 'first', by: 'ada' });
    const { endedAt, revokeRequestedAt } = job;
    expect(await job.revoke({ reason: 'second', by: 'bob', terminate: true })).toBe('REVOKED');
    expect(await job.refresh()).toMatchObject({ revokeReason: 'first', revokedBy: 'ada', endedAt, revokeRequestedAt });
  });

  it('are not announced: no worker can be at work', async () => {
    await using ear = await overhear(shop);
    await (await shop.app.of(SendInvoice).create()).revoke();
    await (await shop.app.of(SendInvoice).enqueue()).revoke();
    expect(await ear.all()).toEqual([]);
  });

  it.each([
    [{ reson: 'x' }, "did you mean 'reason'"],
    [{ terminate: 'yes' }, 'terminate'],
    [{ by: 7 }, 'by'],
  ])('are not revoked with the options %o', async (options, message) => {
    const job = await shop.app.of(SendInvoice).create();
    await expect(job.revoke(options as never)).rejects.toMatchObject({
      code: 'settings.invalid',
      message: expect.stringContaining(message) as string,
    });
    expect((await job.refresh()).status).toBe('NEW');
  });
});

it('close() waits for what Temporal is being told', async () => {
  await using away = await openShop({ temporal: NOBODY_LISTENS });
  const { rows } = await away.db.query<{ id: string }>("insert into send_invoice (status, run) values ('PENDING', 1) returning id");
  const job = (await away.app.of(SendInvoice).get(rows[0]!.id))!;
  let isTold = false;
  const revoked = job.revoke().then(() => (isTold = true));
  await until(async () => (await away.db.query("select from send_invoice where status = 'REVOKED'")).rows.length === 1);
  await away.app.close();
  expect(isTold).toBe(true);
  await revoked;
});

describe('a running handler', { timeout: 180_000 }, () => {
  it('is told within a second of revoke(), without Temporal', async () => {
    await using shop = await openWorking();
    await until(async () => (await listeners(shop)).length === 1);
    expect(median(await latencies(shop, 8))).toBeLessThan(HEARD_WITHIN_MS);
  });

  it('is told of a termination as fast', async () => {
    await using shop = await openWorking();
    await until(async () => (await listeners(shop)).length === 1);
    expect(median(await latencies(shop, 5, { terminate: true }))).toBeLessThan(HEARD_WITHIN_MS);
  });

  it('is told within the look of two seconds when nobody listens', async () => {
    await using shop = await openWorking({ listen: false });
    expect(median(await latencies(shop, 3))).toBeLessThan(LOOKED_UP_WITHIN_MS);
    expect(await listeners(shop)).toEqual([]);
  });

  it('is told of what was revoked while the connection that listens was cut off, and then as fast as before', async () => {
    await using shop = await openWorking();
    let last: number | undefined;
    const another = () => until(async () => (await listeners(shop)).find((pid) => pid !== last));
    const cutOff = async () => {
      last = await another();
      await shop.db.query('select pg_terminate_backend($1)', [last]);
    };
    expect(median(await latencies(shop, 3, { before: cutOff }))).toBeLessThan(LOOKED_UP_WITHIN_MS);
    await another();
    expect(median(await latencies(shop, 5))).toBeLessThan(HEARD_WITHIN_MS);
  });

  it('hears nothing of a transaction that was rolled back, and of one that commits only then', async () => {
    await using shop = await openWorking();
    await using ear = await overhear(shop);
    using handlers = untilAborted(shop);
    const job = await shop.app.of(SendInvoice).enqueue();
    await until(() => handlers.running.has(job.id));
    const transaction = (end: () => void) =>
      shop.app.orm.em.fork().transactional(async (outer) => {
        await outer.transactional((em) => job.revoke({ em: em as EntityManager }));
        expect(await ear.all()).toEqual([]);
        end();
      });
    const rolledBack = () => {
      throw new Error('rolled back');
    };
    await expect(transaction(rolledBack)).rejects.toThrow('rolled back');
    expect(await ear.all()).toEqual([]);
    expect(handlers.abortedAt.size).toBe(0);
    expect(await job.refresh()).toMatchObject({ status: 'STARTED', revokeRequestedAt: null });
    await transaction(() => undefined);
    expect(await ear.all()).toEqual([job.id]);
    await until(() => handlers.abortedAt.has(job.id));
  });

  it('is left alone by notifications that concern others, or nobody', async () => {
    await using shop = await openWorking();
    await until(async () => (await listeners(shop)).length === 1);
    using handlers = untilAborted(shop);
    const job = await shop.app.of(SendInvoice).enqueue();
    await until(() => handlers.running.has(job.id));
    for (const payload of [crypto.randomUUID(), 'nonsense', '', job.id]) await shop.db.query("select pg_notify('asyncjob', $1)", [payload]);
    // A real one goes the same way after them.
    const another = await shop.app.of(SendInvoice).enqueue();
    await until(() => handlers.running.has(another.id));
    await another.revoke();
    await until(() => handlers.abortedAt.has(another.id));
    expect([...handlers.abortedAt.keys()]).toEqual([another.id]);
    expect(await job.revoke()).toBe('STARTED');
  });
});

describe('a revocation that races', { timeout: 180_000 }, () => {
  const settled = (shop: Shop, ids: string[]) =>
    until(
      async () => (await shop.app.of(SendInvoice).count({ id: { $in: ids }, status: { $in: ['SUCCESS', 'REVOKED'] } })) === ids.length,
      { timeoutMs: 40_000 },
    );

  it('with the start of an attempt has one winner: after REVOKED no handler begins', async () => {
    await using shop = await openShop();
    await shop.work({ concurrency: RACES_AT_ONCE });
    const begun = new Set<string>();
    using _ = shop.app.handle(SendInvoice, (task) => void begun.add(task.id));
    const answers = new Map<string, Status>();
    // The worker takes jobs now.
    await (await shop.app.of(SendInvoice).enqueue()).wait({ timeout: '60 seconds' });
    await races(async (headStartMs) => {
      const job = await shop.app.of(SendInvoice).enqueue();
      await sleep(headStartMs);
      const answer = await job.revoke();
      answers.set(job.id, answer);
      return answer === 'REVOKED';
    });
    await settled(shop, [...answers.keys()]);
    // Workflows of revoked jobs may still be on their way to the worker: this one comes after them, on the same queue.
    await (await shop.app.of(SendInvoice).enqueue()).wait({ timeout: '20 seconds' });
    for (const [id, answer] of answers) expect([answer, begun.has(id)]).toEqual([answer, answer !== 'REVOKED']);
  });

  it('with the end of a handler leaves SUCCESS or REVOKED, once, and never both', async () => {
    await using shop = await openShop();
    const changes = await recordChanges(shop.db, 'send_invoice');
    await shop.work({ concurrency: RACES_AT_ONCE });
    const begun = new Set<string>();
    using _ = shop.app.handle(SendInvoice, async (task) => {
      begun.add(task.id);
      // Longer than a revocation takes on a slow machine.
      await sleep(200, undefined, { signal: task.signal });
    });
    const ids: string[] = [];
    await races(async (headStartMs, number) => {
      const job = await shop.app.of(SendInvoice).enqueue();
      ids.push(job.id);
      await until(() => begun.has(job.id), { intervalMs: 2, timeoutMs: 30_000 });
      await sleep(headStartMs);
      return (await job.revoke({ terminate: number % 2 === 0 })) !== 'SUCCESS';
    });
    await settled(shop, ids);
    const seen = await changes();
    const statuses = ids.map((id) => seen.get(id)!.map(({ status }) => status));
    expect(new Set(statuses.map((each) => each.join(' → ')))).toEqual(new Set(['STARTED → SUCCESS', 'STARTED → REVOKED']));
  });
});
