// Lanes: rows of a class that share a workflow behave as if each had its own. Real PostgreSQL, real Temporal.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SettingInputs } from '../../src/app/settings.ts';
import { startTemporal } from '../../src/dev/index.ts';
import { schemaDiff } from '../../src/inspect/schema-diff.ts';
import { AttemptWatch } from '../../src/mirror/attempt-watch.ts';
import { GiveUp, RetryAfter, type AsyncJob, type Task } from '../../src/index.ts';
import { lastingPort } from '../support/lasting-port.ts';
import { Brief, LANE_CLASSES, openShop, Parcel, Stamp, type Shop } from '../support/shop.ts';
import { temporalCli } from '../support/servers.ts';
import { recordChanges } from '../support/status-changes.ts';
import { until } from '../support/until.ts';

const PATIENCE = { timeout: '20 seconds' } as const;

/** Handlers that stay until they are let go or stopped. */
function gate() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const inside = new Set<string>();
  const stopped = new Map<string, string>();
  return {
    inside,
    stopped,
    open,
    async pass(task: Task): Promise<void> {
      inside.add(task.id);
      const aborted = new Promise<never>((_, reject) => {
        task.signal.addEventListener('abort', () => {
          stopped.set(task.id, (task.signal.reason as { reason: string }).reason);
          reject(task.signal.reason as Error);
        });
      });
      await Promise.race([opened, aborted]);
    },
  };
}

async function history(shop: Shop, job: AsyncJob): Promise<string[]> {
  const { rows } = await shop.db.query<{ outcome: string }>('select outcome from async_job_attempt where job_id = $1 order by id', [
    job.id,
  ]);
  return rows.map(({ outcome }) => outcome);
}

const openLanes = (shop: Shop) =>
  shop.app.temporal.workflow.list({ query: `ExecutionStatus = 'Running' and WorkflowId starts_with '${shop.app.name}/asyncjob.lane/'` });

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('a lane', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ classes: LANE_CLASSES });
    await shop.work({ queues: ['default', 'billing'] });
  });
  afterAll(() => shop?.[Symbol.asyncDispose]());
  beforeEach(async () => void (await shop.db.query('truncate parcel, stamp, async_job_attempt')));

  it('has tables that are as its class wants them', async () => {
    expect(await schemaDiff(shop.app.orm)).toEqual([]);
  });

  it('has indexes for claims, and none for a dispatch that never comes', async () => {
    const { rows } = await shop.db.query<{ indexdef: string }>(
      `select indexdef from pg_indexes where tablename = 'parcel' and schemaname = current_schema()`,
    );
    const indexes = rows.map(({ indexdef }) => indexdef.replace(/^.* USING btree /, '')).sort();
    expect(indexes).toEqual([
      '(created_at)',
      '(id)',
      `(queue, next_attempt_at) WHERE ((status = 'PENDING'::text) AND (next_attempt_at IS NOT NULL))`,
      `(queue, priority, enqueued_at) WHERE ((status = 'PENDING'::text) AND (next_attempt_at IS NULL))`,
      '(status, created_at)',
    ]);
  });

  it('takes jobs from PENDING over STARTED to SUCCESS, and their rows know everything', async () => {
    using _ = shop.app.handle(Parcel, async (task, job) => {
      const stored = await Parcel.get(job.id, { em: shop.app.orm.em.fork() });
      job.note = `${stored!.status} ${stored!.attempt} ${stored!.queue} ${task.queue} ${task.jobType}`;
      job.data = { pages: [1, 2] };
      job.tags = ['a', 'b c'];
      return { url: 'x' };
    });
    const job = await Parcel.create({ weight: 4 });
    expect(job).toMatchObject({ status: 'NEW', run: 0, priority: 3 });
    await job.enqueue({ queue: 'billing' });
    expect(job).toMatchObject({ status: 'PENDING', run: 1, isBusy: true });
    await job.wait(PATIENCE);
    expect(job).toMatchObject({
      status: 'SUCCESS',
      run: 1,
      attempt: 1,
      failures: 0,
      crashes: 0,
      note: 'STARTED 1 billing billing Parcel',
      data: { pages: [1, 2] },
      tags: ['a', 'b c'],
      weight: 4,
      doubled: 8,
      output: { url: 'x' },
      progress: 1,
      isFinished: true,
      holder: null,
      nextAttemptAt: null,
    });
    expect(job.endedAt!.getTime()).toBeGreaterThanOrEqual(job.startedAt!.getTime());
    expect(job.workflowId).toMatch(new RegExp(`^${shop.app.name}/asyncjob\\.lane/billing/Parcel/.+/\\d+$`));
    expect(await history(shop, job)).toEqual([]);
    // Temporal shows the lane, which ends when the queue is empty.
    const lane = shop.app.temporal.workflow.getHandle(job.workflowId!, job.runId!);
    expect(await lane.result()).toEqual({ jobs: 1, why: 'empty' });
  });

  it('shares one workflow among many jobs', async () => {
    using _ = shop.app.handle(Parcel, (task, job) => {
      job.note = task.id;
      return { weight: job.weight };
    });
    const ids = await shop.app.of(Parcel).enqueueMany(Array.from({ length: 300 }, (_each, weight) => ({ weight })));
    await until(async () => (await Parcel.count({ status: 'SUCCESS' })) === 300);
    const jobs = await Parcel.find({ id: { $in: ids } });
    expect(jobs.every((job) => job.note === job.id && (job.output as { weight: number }).weight === job.weight && job.attempt === 1)).toBe(
      true,
    );
    expect(new Set(jobs.map(({ runId }) => runId)).size).toBeLessThanOrEqual(2);
  });

  it('writes what the handler says and saves while it runs', async () => {
    const { pass, open } = gate();
    using _ = shop.app.handle(Parcel, async (task, job) => {
      task.progress({ current: 1, total: 4 }, 'first of four');
      await task.saveCheckpoint({ page: 1 });
      job.note = 'saved';
      await job.save();
      await pass(task);
    });
    const job = await Parcel.enqueue();
    await until(async () => (await job.refresh()).progress === 0.25 && job.note === 'saved');
    expect(job).toMatchObject({ status: 'STARTED', progressMessage: 'first of four', checkpoint: { page: 1 } });
    open();
    expect(await job.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', progress: 1 });
  });

  it('tries again by the policy, PENDING with a time in between', async () => {
    const changes = await recordChanges(shop.db, 'stamp');
    const beganAt: number[] = [];
    using _ = shop.app.handle(Stamp, (task, job) => {
      beganAt.push(Date.now());
      if (task.attempt < 3) throw task.attempt === 1 ? new Error('once') : new RetryAfter('400ms');
      job.note = `attempt ${task.attempt}`;
    });
    const job = await Stamp.enqueue();
    expect(await job.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', note: 'attempt 3', attempt: 3, failures: 2, errorMessage: null });
    expect(await history(shop, job)).toEqual(['failed', 'failed']);
    const seen = (await changes()).get(job.id)!;
    expect(seen.map(({ status }) => status)).toEqual(['STARTED', 'PENDING', 'STARTED', 'PENDING', 'STARTED', 'SUCCESS']);
    expect(seen[3]!.nextAttemptAt!.getTime()).toBeGreaterThanOrEqual(beganAt[1]! + 400);
  });

  it('does not try again after GiveUp or when no attempt is left, and a retry begins the next run', async () => {
    using _ = shop.app.handle(Stamp, (task, job) => {
      if (task.run === 1) throw job.note === 'give up' ? new GiveUp('enough') : new Error('again');
    });
    const [given, spent] = await Promise.all([Stamp.enqueue({ note: 'give up' }), Stamp.enqueue({ note: 'go on' })]);
    expect(await given.wait(PATIENCE)).toMatchObject({ status: 'FAILURE', failures: 1 });
    expect(await spent.wait(PATIENCE)).toMatchObject({ status: 'FAILURE', failures: 3, errorMessage: 'Error: again' });
    await spent.retry();
    expect(await spent.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', run: 2, attempt: 1, failures: 0 });
  });

  it('ends an attempt at its time limit', async () => {
    using _ = shop.app.handle(Brief, (task, job) =>
      job.note === 'deaf' ? new Promise((resolve) => setTimeout(resolve, 8_000)) : gate().pass(task),
    );
    const [listening, deaf] = await Promise.all([Brief.enqueue(), Brief.enqueue({ note: 'deaf' })]);
    expect((await listening.wait(PATIENCE)).error).toMatchObject({ code: 'job.time_limit' });
    // Its slot is free, its row settled, although it goes on.
    expect(await deaf.wait(PATIENCE)).toMatchObject({ status: 'FAILURE', error: { code: 'job.time_limit' } });
    expect(await history(shop, deaf)).toEqual(['time_limit']);
  });

  it('one bad value or output hurts its own row alone', async () => {
    using _ = shop.app.handle(Parcel, (_task, job) => {
      if (job.weight === 7) job.short = 'much longer than eight';
      else job.short = `n${job.weight}`;
      return job.weight === 9 ? (10n as never) : null;
    });
    const ids = await shop.app.of(Parcel).enqueueMany(Array.from({ length: 20 }, (_each, weight) => ({ weight })));
    await until(async () => (await Parcel.count({ id: { $in: ids }, endedAt: { $ne: null } })) === 20);
    const jobs = (await Parcel.find({ id: { $in: ids } })).toSorted((a, b) => a.weight! - b.weight!);
    expect(jobs.map(({ status }) => status)).toEqual(jobs.map(({ weight }) => (weight === 7 || weight === 9 ? 'FAILURE' : 'SUCCESS')));
    expect(jobs[7]!.error).toMatchObject({ code: 'handler.value_invalid' });
    expect(jobs[9]!.error).toMatchObject({ code: 'handler.output_invalid' });
    expect(jobs[8]!.short).toBe('n8');
  });

  it('runs a row that SQL inserts as PENDING', async () => {
    using _ = shop.app.handle(Parcel, () => undefined);
    const { rows } = await shop.db.query<{ id: string }>(`insert into parcel (status, weight) values ('PENDING', 1) returning id`);
    const job = (await Parcel.get(rows[0]!.id))!;
    expect(await job.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', attempt: 1, priority: 3 });
  });

  it('runs a delayed job at its time, and an enqueued one only once it is committed', async () => {
    const began = new Map<string, number>();
    using _ = shop.app.handle(Parcel, (task) => void began.set(task.id, Date.now()));
    const enqueuedAt = Date.now();
    const later = await Parcel.enqueue({}, { delay: '1500ms' });
    expect(later.nextAttemptAt).toEqual(later.runAt);
    const committed = await shop.app.orm.em.fork().transactional(async (em) => {
      const job = await Parcel.enqueue({}, { em: em as never });
      await sleep(300);
      expect(began.has(job.id)).toBe(false);
      return job;
    });
    await committed.wait(PATIENCE);
    expect(await later.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', nextAttemptAt: null });
    expect(began.get(later.id)! - enqueuedAt).toBeGreaterThanOrEqual(1_450);
  });

  it('runs urgent jobs first', async () => {
    const order: string[] = [];
    const { pass, open } = gate();
    using _ = shop.app.handle(Stamp, async (task, job) => {
      if (job.note === 'first') return pass(task);
      order.push(job.note!);
    });
    await Promise.all(Array.from({ length: 3 }, () => Stamp.enqueue({ note: 'first' })));
    await until(async () => (await Stamp.count({ status: 'STARTED' })) === 3);
    for (const [note, priority] of [
      ['e', 5],
      ['c', undefined],
      ['a', 1],
      ['b', 2],
      ['d', 4],
    ] as const)
      await Stamp.enqueue({ note }, priority === undefined ? {} : { priority });
    open();
    await until(async () => (await Stamp.count({ status: 'SUCCESS' })) === 8);
    expect(order).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('stragglers hold nobody up', async () => {
    const { pass, open, inside } = gate();
    using _ = shop.app.handle(Parcel, (task, job) => (job.note === 'slow' ? pass(task) : undefined));
    const slow = await shop.app.of(Parcel).enqueueMany(Array.from({ length: 9 }, () => ({ note: 'slow' })));
    await until(() => inside.size === 9);
    const quick = await shop.app.of(Parcel).enqueueMany(Array.from({ length: 50 }, () => ({})));
    await until(async () => (await Parcel.count({ id: { $in: quick }, status: 'SUCCESS' })) === 50);
    expect(await Parcel.count({ id: { $in: slow }, status: 'STARTED' })).toBe(9);
    open();
    await until(async () => (await Parcel.count({ id: { $in: slow }, status: 'SUCCESS' })) === 9);
  });

  it('runs two classes on two queues side by side', async () => {
    const ran: string[] = [];
    using _parcels = shop.app.handle(Parcel, (task) => void ran.push(`Parcel ${task.queue}`));
    using _stamps = shop.app.handle(Stamp, (task) => void ran.push(`Stamp ${task.queue}`));
    await Promise.all([
      Parcel.enqueue(),
      Parcel.enqueue({}, { queue: 'billing' }),
      Stamp.enqueue(),
      Stamp.enqueue({}, { queue: 'billing' }),
    ]);
    await until(() => ran.length === 4);
    expect(ran.toSorted()).toEqual(['Parcel billing', 'Parcel default', 'Stamp billing', 'Stamp default']);
  });

  it('a job that is revoked while it waits never runs', async () => {
    const ran = new Set<string>();
    using _ = shop.app.handle(Parcel, (task) => void ran.add(task.id));
    const job = await Parcel.enqueue({}, { delay: '500ms' });
    expect(await job.revoke({ reason: 'no' })).toBe('REVOKED');
    const marker = await Parcel.enqueue({}, { delay: '800ms' });
    await marker.wait(PATIENCE);
    expect(ran).toEqual(new Set([marker.id]));
  });

  it('a revoked job that runs hears of it with the commit, also one of many', async () => {
    const handlers = gate();
    using heard = vi.spyOn(AttemptWatch.prototype, 'revoked');
    using _ = shop.app.handle(Parcel, (task) => handlers.pass(task));
    const ids = await shop.app.of(Parcel).enqueueMany([{}, {}, {}]);
    await until(() => handlers.inside.size === 3);
    const job = (await Parcel.get(ids[1]!))!;
    expect(await job.revoke({ reason: 'enough', by: 'me' })).toBe('STARTED');
    await until(() => heard.mock.calls.some(([id]) => id === job.id));
    await until(() => handlers.stopped.has(job.id));
    expect(await job.wait(PATIENCE)).toMatchObject({ status: 'REVOKED', revokeReason: 'enough', revokedBy: 'me' });
    expect(await history(shop, job)).toEqual(['revoked']);
    expect(handlers.stopped.size).toBe(1);
    handlers.open();
    await until(async () => (await Parcel.count({ status: 'SUCCESS' })) === 2);
  });

  it('after a revocation with terminate, the retried job waits for its old execution', async () => {
    let running = 0;
    let most = 0;
    let end!: () => void;
    const ended = new Promise<void>((resolve) => (end = resolve));
    using _ = shop.app.handle(Parcel, async (task, job) => {
      most = Math.max(most, ++running);
      // It does not listen.
      if (task.run === 1) await ended;
      job.note = `run ${task.run}`;
      running--;
    });
    const job = await Parcel.enqueue();
    await until(() => running === 1);
    expect(await job.revoke({ terminate: true })).toBe('REVOKED');
    await job.retry();
    await sleep(1_500);
    expect(await job.refresh()).toMatchObject({ status: 'PENDING', run: 2 });
    end();
    expect(await job.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', run: 2, attempt: 1, note: 'run 2' });
    expect(most).toBe(1);
  });

  it.each(['cancel', 'terminate'] as const)('a lane that somebody %ss in Temporal revokes nothing: the next one goes on', async (verb) => {
    const { pass, open, inside, stopped } = gate();
    const beside = new Set<string>();
    using _ = shop.app.handle(Stamp, async (task, job) => {
      if (job.note === 'slow') return pass(task);
      if (stopped.size === 0) beside.add(job.id);
    });
    const slow = await Stamp.enqueue({ note: 'slow' });
    await until(() => inside.has(slow.id));
    await slow.refresh();
    const lane = shop.app.temporal.workflow.getHandle(slow.workflowId!);
    await lane[verb]();
    // Another lane takes the next jobs, while it still runs.
    await until(
      async () => {
        const quick = await Stamp.enqueue();
        await quick.wait(PATIENCE);
        return quick.runId !== slow.runId && quick.status === 'SUCCESS' && beside.has(quick.id);
      },
      { timeoutMs: 30_000 },
    );
    // Whoever cancels waits for its end: what runs is handed back after the drain time.
    if (verb === 'cancel') await until(() => stopped.get(slow.id) === 'lost');
    open();
    expect(await slow.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', attempt: verb === 'cancel' ? 2 : 1, failures: 0, crashes: 0 });
  });

  it('says on the row why a job of an unknown type waits, and runs it as soon as it is known', async () => {
    const job = await Parcel.enqueue();
    await until(async () => (await job.refresh()).errorMessage);
    expect(job).toMatchObject({ status: 'PENDING', error: { code: 'handler.missing' }, nextAttemptAt: null });
    expect(job.errorMessage).toContain("no handler for 'Parcel' on queue 'default'");
    using _ = shop.app.handle(Parcel, () => undefined);
    expect(await job.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', attempt: 1, failures: 0, errorMessage: null });
  });

  it('leaves no workflow behind when there is nothing to do', async () => {
    using _ = shop.app.handle(Parcel, () => undefined);
    await (await Parcel.enqueue()).wait(PATIENCE);
    const lanes = await until(async () => {
      const running = await all(openLanes(shop));
      return running.length === 0 ? { running } : null;
    });
    expect(lanes.running).toEqual([]);
  });
});

describe('two workers', () => {
  it('share the work, and nobody runs a job twice', async () => {
    await using shop = await openShop({ classes: LANE_CLASSES });
    const runs = new Map<string, number>();
    const workers = new Set<string>();
    const both = Promise.withResolvers<void>();
    using _ = shop.app.handle(Parcel, async (task, job) => {
      runs.set(task.id, (runs.get(task.id) ?? 0) + 1);
      if (workers.add(job.workerId!).size === 2) both.resolve();
      await both.promise;
    });
    const ids = await shop.app.of(Parcel).enqueueMany(Array.from({ length: 600 }, () => ({})));
    const [one, two] = await Promise.all([shop.work(), shop.work()]);
    await until(async () => (await Parcel.count({ status: 'SUCCESS' })) === 600, { timeoutMs: 30_000 });
    expect([...runs.values()].every((count) => count === 1)).toBe(true);
    expect(runs.size).toBe(ids.length);
    const { rows } = await shop.db.query<{ id: string }>('select distinct worker_id as id from parcel');
    expect(rows.map(({ id }) => id).toSorted()).toEqual([one.id, two.id].toSorted());
  });

  it('one takes over what the other one leaves when it ends, and nothing is counted', async () => {
    await using shop = await openShop({ classes: LANE_CLASSES, settings: { drainTimeoutMs: 300 } });
    const handlers = gate();
    const worked: string[] = [];
    using _ = shop.app.handle(Parcel, async (task, job) => {
      worked.push(`attempt ${task.attempt}`);
      if (task.attempt === 1) await handlers.pass(task);
      job.note = `attempt ${task.attempt}`;
    });
    const first = await shop.work();
    const job = await Parcel.enqueue();
    await until(() => handlers.inside.has(job.id));
    await shop.work();
    const at = performance.now();
    await first.shutdown();
    expect(handlers.stopped.get(job.id)).toBe('shutdown');
    expect(await job.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', attempt: 2, failures: 0, crashes: 0, note: 'attempt 2' });
    expect(performance.now() - at).toBeLessThan(8_000);
    expect(await history(shop, job)).toEqual(['handed_back']);
  });
});

describe('while Temporal is away', { timeout: 180_000 }, () => {
  async function openShopOfItsOwn(settings: SettingInputs = {}) {
    const cleanUp = new AsyncDisposableStack();
    const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-lanes-'));
    cleanUp.defer(() => rm(folder, { recursive: true, force: true }));
    const dbFile = path.join(folder, 'temporal.sqlite');
    const first = await startTemporal({ cli: temporalCli(), ui: false, dbFile, port: await lastingPort() });
    const servers = [first];
    cleanUp.defer(async () => void (await Promise.all(servers.map((server) => server.stop()))));
    const shop = await openShop({ classes: LANE_CLASSES, temporal: { address: first.address }, settings });
    cleanUp.use(shop);
    return {
      shop,
      goAway: () => first.kill9(),
      async comeBack() {
        servers.push(await startTemporal({ cli: temporalCli(), ui: false, dbFile, port: first.port }));
      },
      [Symbol.asyncDispose]: () => cleanUp.disposeAsync(),
    };
  }

  it('a lane that is open goes on, and the next one takes its place when it is back', async () => {
    await using stage = await openShopOfItsOwn();
    const { shop } = stage;
    const { pass, open, inside } = gate();
    using _ = shop.app.handle(Parcel, (task, job) => (job.note === 'slow' ? pass(task) : undefined));
    await shop.work();
    const slow = await Parcel.enqueue({ note: 'slow' });
    await until(() => inside.has(slow.id));
    await stage.goAway();
    // Longer than the heartbeat timeout of a lane.
    for (let i = 0; i < 13; i++) {
      const quick = await Parcel.enqueue();
      expect(await quick.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', attempt: 1 });
      await sleep(1_000);
    }
    await stage.comeBack();
    await slow.refresh();
    await until(
      async () => {
        const quick = await Parcel.enqueue();
        await quick.wait(PATIENCE);
        return quick.runId !== slow.runId;
      },
      { timeoutMs: 40_000 },
    );
    open();
    expect(await slow.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', attempt: 1, crashes: 0 });
  });

  it('jobs wait for a lane that is still to be opened', async () => {
    await using stage = await openShopOfItsOwn();
    using _ = stage.shop.app.handle(Parcel, () => undefined);
    await stage.shop.work();
    await stage.goAway();
    const job = await Parcel.enqueue();
    await sleep(3_000);
    expect(await job.refresh()).toMatchObject({ status: 'PENDING', attempt: 0 });
    await stage.comeBack();
    expect(await job.wait({ timeout: '40 seconds' })).toMatchObject({ status: 'SUCCESS', attempt: 1 });
  });

  it('jobs run without a workflow where the settings say so', async () => {
    await using stage = await openShopOfItsOwn({ lanesWithoutTemporal: true });
    using _ = stage.shop.app.handle(Parcel, () => undefined);
    await stage.shop.work();
    await stage.goAway();
    const job = await Parcel.enqueue();
    expect(await job.wait(PATIENCE)).toMatchObject({ status: 'SUCCESS', workflowId: null });
    expect(job.runId).toMatch(/^alone-/);
  });

  it('a worker ends although a handler in such a lane ignores its signal', async () => {
    await using stage = await openShopOfItsOwn({ lanesWithoutTemporal: true, drainTimeoutMs: 100 });
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    using _ = stage.shop.app.handle(Parcel, () => released);
    const worker = await stage.shop.work();
    await stage.goAway();
    const job = await Parcel.enqueue();
    await until(async () => (await job.refresh()).status === 'STARTED');
    await Promise.all([
      expect(worker.run()).rejects.toMatchObject({ code: 'worker.abandoned', message: expect.stringContaining(job.id) as string }),
      worker.shutdown(),
    ]);
    expect(await job.refresh()).toMatchObject({ status: 'STARTED' });
    release();
  });
});
