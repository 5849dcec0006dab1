// The guards of lanes: which rows a claim or a takeover may have, and what ends of many rows do. Real PostgreSQL.
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AsyncJobError, toErrorRecord } from '../../src/domain/errors.ts';
import { FactCounts } from '../../src/domain/fact-counts.ts';
import type { AttemptRef, LaneRequest, StartedRow } from '../../src/domain/ports.ts';
import { STATUSES, type Status } from '../../src/domain/lifecycle.ts';
import { DEFAULT_POLICY } from '../../src/domain/job-policy.ts';
import { jobTableOf, libraryTables } from '../../src/mirror/job-table.ts';
import { LaneMirror } from '../../src/mirror/lane-mirror.ts';
import { PostgresJobMirror } from '../../src/mirror/postgres-job-mirror.ts';
import { AsyncJobAttempt, AsyncJobWorker } from '../../src/index.ts';
import { LANE_CLASSES, openShop, Parcel, type Shop } from '../support/shop.ts';

describe('the mirror of lanes', () => {
  let shop: Shop;
  let mirror: LaneMirror;
  let facts: FactCounts;
  let lanePool: pg.Pool;
  beforeAll(async () => {
    shop = await openShop({ engine: 'inline', classes: LANE_CLASSES });
    lanePool = new pg.Pool({ connectionString: shop.databaseUrl, max: 4, lock_timeout: 300 });
    // Its connections may still be closing when the database is dropped.
    lanePool.on('error', () => undefined);
    lanePool.on('connect', (client) => client.on('error', () => undefined));
  });
  afterAll(async () => {
    await lanePool?.end();
    await shop?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    const metadata = shop.app.orm.getMetadata();
    const policy = { ...DEFAULT_POLICY, lane: { concurrency: 1, lingerMs: 0 } };
    facts = new FactCounts();
    mirror = new LaneMirror({
      pool: lanePool,
      tables: new Map([['Parcel', jobTableOf('Parcel', metadata.get(Parcel), { policy })]]),
      library: libraryTables(metadata, { attempts: AsyncJobAttempt, workers: AsyncJobWorker }),
      applicationName: 'shop',
      facts,
      prepare: false,
    });
    await shop.db.query('truncate parcel, async_job_attempt, async_job_worker');
    await worker('me');
  });

  async function row(values: Record<string, unknown> = {}): Promise<string> {
    const columns = { status: 'PENDING', run: 1, enqueued_at: new Date(), ...values } as Record<string, unknown>;
    const names = Object.keys(columns);
    const { rows } = await shop.db.query<{ id: string }>(
      `insert into parcel (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')}) returning id`,
      Object.values(columns),
    );
    return rows[0]!.id;
  }
  const startedBy = (holder: string | null, values: Record<string, unknown> = {}) =>
    row({
      status: 'STARTED',
      attempt: 1,
      run_id: 'other lane',
      holder,
      holder_beat: 1,
      worker_id: holder,
      started_at: new Date(),
      ...values,
    });
  async function stored(id: string): Promise<Record<string, unknown>> {
    return (await shop.db.query('select * from parcel where id = $1', [id])).rows[0] as Record<string, unknown>;
  }
  async function history(id: string): Promise<object[]> {
    const { rows } = await shop.db.query('select attempt, outcome, worker_id from async_job_attempt where job_id = $1 order by id', [id]);
    return rows as object[];
  }
  async function worker(
    id: string,
    state: { alive?: boolean; stopped?: boolean; beat?: number; jobs?: string[]; aliveFor?: string } = {},
  ): Promise<void> {
    const { alive = true, stopped = false, beat = 5, jobs = [], aliveFor = '1 hour' } = state;
    await shop.db.query(
      `insert into async_job_worker (id, application, host, pid, version, queues, concurrency, expires_at, stopped_at, beat, jobs, seen_at, alive_since)
       values ($1, '', 'h', 1, '0', '[]', 1, now() + $2::interval, $3, $4, $5::jsonb, now() + $2::interval - interval '1 minute', now() - $6::interval)
       on conflict (id) do update set expires_at = excluded.expires_at, alive_since = excluded.alive_since`,
      [id, alive ? '1 minute' : '-1 minute', stopped ? new Date() : null, beat, JSON.stringify(jobs), aliveFor],
    );
  }
  const request = (changes: Partial<LaneRequest> = {}): LaneRequest => ({
    jobType: 'Parcel',
    queue: 'default',
    worker: 'me',
    running: [],
    limit: 10,
    runId: 'lane 1',
    workflowId: 'shop/asyncjob.lane/default/me/1',
    crashRetries: 1,
    ...changes,
  });
  const ids = (started: StartedRow[]) => started.map(({ ref }) => ref.id);
  const claim = async (changes: Partial<LaneRequest> = {}) => ids(await mirror.claim(request(changes)));
  const takeOver = async (changes: Partial<LaneRequest> = {}) => ids(await mirror.takeOver(request(changes)));
  const hasWork = (changes: Partial<LaneRequest> = {}) => mirror.hasWork(request(changes));

  describe('a claim', () => {
    it('makes PENDING rows STARTED, held by its worker, each the next attempt of its run', async () => {
      const id = await row({ attempt: 2, run: 3 });
      const [started] = await mirror.claim(request());
      expect(started!.ref).toEqual({ jobType: 'Parcel', id, run: 3, attempt: 3, runId: 'lane 1' });
      expect(await stored(id)).toMatchObject({
        status: 'STARTED',
        attempt: 3,
        holder: 'me',
        holder_beat: 5,
        worker_id: 'me',
        run_id: 'lane 1',
        workflow_id: 'shop/asyncjob.lane/default/me/1',
        started_at: expect.any(Date) as Date,
      });
      expect(await claim()).toEqual([]);
    });

    it.each(STATUSES.filter((status) => status !== 'PENDING'))('never takes a row that is %s', async (status: Status) => {
      await row({ status });
      expect(await claim()).toEqual([]);
    });

    it('leaves other queues alone, and what is not due', async () => {
      const later = new Date(Date.now() + 60_000);
      await row({ queue: 'other' });
      await row({ next_attempt_at: later });
      await row({ run_at: later });
      expect(await hasWork()).toBe(false);
      expect(await claim()).toEqual([]);
    });

    it('takes the urgent ones first, then the oldest', async () => {
      const at = (seconds: number) => new Date(Date.now() - seconds * 1_000);
      const young = await row({ enqueued_at: at(1) });
      const old = await row({ enqueued_at: at(9) });
      const urgent = await row({ priority: 1 });
      expect(await claim({ limit: 1 })).toEqual([urgent]);
      expect(await claim({ limit: 1 })).toEqual([old]);
      expect(await claim({ limit: 1 })).toEqual([young]);
    });

    it('keeps places for both: what is tried again, and what was never tried', async () => {
      const past = new Date(Date.now() - 1_000);
      for (let i = 0; i < 10; i++) await row({ next_attempt_at: past });
      for (let i = 0; i < 10; i++) await row();
      const claimed = new Set(await claim({ limit: 8 }));
      const { rows } = await shop.db.query<{ id: string; attempt: number }>(`select id from parcel where next_attempt_at is not null`);
      expect(rows).toHaveLength(8);
      expect(claimed.size).toBe(8);
    });

    it('gives all places to what is tried again when there is nothing else', async () => {
      const past = new Date(Date.now() - 1_000);
      for (let i = 0; i < 4; i++) await row({ next_attempt_at: past });
      expect(await claim({ limit: 1 })).toHaveLength(1);
      expect(await claim({ limit: 1 })).toHaveLength(1);
      expect(await claim({ limit: 4 })).toHaveLength(2);
    });

    it('does not happen in a worker whose own registry row has expired', async () => {
      await row();
      await worker('me', { alive: false });
      expect(await claim()).toEqual([]);
      expect(await hasWork()).toBe(false);
    });

    it('leaves alone what this process runs', async () => {
      const id = await row({ holder: 'me', holder_beat: 1 });
      expect(await claim({ running: [id] })).toEqual([]);
      expect(await claim()).toEqual([id]);
    });

    it('waits after a terminated run until its holder has let go', async () => {
      const id = await row({ holder: 'other', holder_beat: 5 });
      await worker('other', { beat: 5 });
      expect(await claim()).toEqual([]);
      await shop.db.query(`update async_job_worker set beat = 6, jobs = $1::jsonb where id = 'other'`, [JSON.stringify([id])]);
      expect(await claim()).toEqual([]);
      await shop.db.query(`update async_job_worker set jobs = '[]' where id = 'other'`);
      expect(await claim()).toEqual([id]);
    });

    it('gives each row to one of two lanes that claim at the same time', async () => {
      for (let i = 0; i < 40; i++) await row();
      await worker('you');
      const claims = await Promise.all([
        claim({ limit: 30 }),
        claim({ limit: 30, worker: 'you', runId: 'lane 2' }),
        claim({ limit: 30, runId: 'lane 3' }),
      ]);
      const all = claims.flat();
      expect(new Set(all).size).toBe(all.length);
    });

    it('takes a row that SQL inserted as PENDING', async () => {
      const { rows } = await shop.db.query<{ id: string }>(`insert into parcel (status) values ('PENDING') returning id`);
      expect(await claim()).toEqual([rows[0]!.id]);
    });
  });

  describe('a takeover', () => {
    it('takes a row whose worker died, as the next attempt, and counts the crash', async () => {
      const id = await startedBy('gone');
      await worker('gone', { alive: false });
      expect(await hasWork()).toBe(true);
      expect(await takeOver()).toEqual([id]);
      expect(await stored(id)).toMatchObject({
        status: 'STARTED',
        attempt: 2,
        crashes: 1,
        holder: 'me',
        worker_id: 'me',
        run_id: 'lane 1',
      });
      expect(await history(id)).toEqual([{ attempt: 1, outcome: 'crashed', worker_id: 'gone' }]);
    });

    it.each([
      ['lists it', { beat: 9, jobs: ['it'] }],
      ['has not published its list since', { beat: 1 }],
    ])('leaves a row alone whose worker lives and %s', async (_, state) => {
      const id = await startedBy('other');
      await worker('other', { ...state, jobs: 'jobs' in state ? [id] : [] });
      expect(await hasWork()).toBe(false);
      expect(await takeOver()).toEqual([]);
    });

    it('takes a row that its living worker does not run, without a crash', async () => {
      const id = await startedBy('other');
      await worker('other', { beat: 9 });
      expect(await takeOver()).toEqual([id]);
      expect(await stored(id)).toMatchObject({ attempt: 2, crashes: 0 });
      expect(await history(id)).toEqual([]);
    });

    it('takes a row of a worker that ended orderly, without a crash', async () => {
      const id = await startedBy('ended');
      await worker('ended', { alive: false, stopped: true });
      expect(await takeOver()).toEqual([id]);
      expect(await stored(id)).toMatchObject({ crashes: 0 });
    });

    it('takes what was started here and is not run here: the answer to a claim was lost', async () => {
      const id = await startedBy('me');
      expect(await takeOver({ running: [id] })).toEqual([]);
      expect(await takeOver()).toEqual([id]);
      expect(await stored(id)).toMatchObject({ attempt: 2, crashes: 0 });
    });

    it('ends a job that crashed too often as FAILURE', async () => {
      const id = await startedBy('gone', { crashes: 1 });
      await worker('gone', { alive: false });
      expect(await takeOver()).toEqual([]);
      expect(await stored(id)).toMatchObject({ status: 'FAILURE', crashes: 2, attempt: 1, error: { code: 'job.crashed_repeatedly' } });
      expect(await history(id)).toEqual([{ attempt: 1, outcome: 'crashed', worker_id: 'gone' }]);
    });

    it('makes a row that was to be revoked REVOKED, whatever else', async () => {
      const id = await startedBy('gone', { crashes: 1, revoke_requested_at: new Date() });
      await worker('gone', { alive: false });
      expect(await takeOver()).toEqual([]);
      expect(await stored(id)).toMatchObject({ status: 'REVOKED', error: null });
    });

    it('waits after an outage of PostgreSQL until everybody had the time to say that they live', async () => {
      await startedBy('other');
      await worker('other', { alive: false });
      await worker('me', { aliveFor: '1 second' });
      expect(await takeOver()).toEqual([]);
      await worker('me', { aliveFor: '2 minutes' });
      expect(await takeOver()).toHaveLength(1);
    });
  });

  describe('a worker without the handler', () => {
    const error = toErrorRecord(new AsyncJobError('handler.missing', 'no handler'), true);
    const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000);
    const codes = async () => {
      const { rows } = await shop.db.query<{ id: string; code: string }>(`select id, error->>'code' as code from parcel`);
      return new Map(rows.map(({ id, code }) => [id, code]));
    };

    it('says it on the rows that it would claim otherwise, once others had their time to take them', async () => {
      const waiting = await row({ enqueued_at: ago(9) });
      const again = await row({ enqueued_at: ago(60), next_attempt_at: ago(9), failures: 1, error: { code: 'other' } });
      const others = [
        await row({ enqueued_at: ago(-60) }),
        await row({ enqueued_at: ago(9), next_attempt_at: ago(-9) }),
        await row({ enqueued_at: ago(9), queue: 'other' }),
        await startedBy('me', { enqueued_at: ago(9) }),
      ];
      await mirror.unhandled(request(), error);
      const found = await codes();
      expect([waiting, again, ...others].map((id) => found.get(id))).toEqual([
        'handler.missing',
        'handler.missing',
        null,
        null,
        null,
        null,
      ]);
      expect(await stored(waiting)).toMatchObject({
        status: 'PENDING',
        attempt: 0,
        error_message: 'AsyncJobError: handler.missing: no handler',
      });
    });

    it('keeps nobody else from claiming them', async () => {
      const id = await row({ enqueued_at: ago(9) });
      await mirror.unhandled(request(), error);
      expect(await claim()).toEqual([id]);
    });
  });

  describe('ends of many', () => {
    const end = (ref: AttemptRef, own: Record<string, unknown> = {}, output: unknown = { ok: true }) =>
      mirror.succeeded(ref, { output, own });
    async function started(count: number): Promise<AttemptRef[]> {
      for (let i = 0; i < count; i++) await row({ note: 'before', weight: 1 });
      return (await mirror.claim(request({ limit: count }))).map(({ ref }) => ref);
    }

    it('write status, output and the own columns that each of them changed', async () => {
      const [first, second, third] = (await started(3)) as [AttemptRef, AttemptRef, AttemptRef];
      await Promise.all([end(first, { '"note"': 'after' }), end(second, { '"weight"': 7 }, null), end(third)]);
      expect(await stored(first.id)).toMatchObject({
        status: 'SUCCESS',
        progress: 1,
        holder: null,
        note: 'after',
        weight: 1,
        output: { ok: true },
      });
      expect(await stored(second.id)).toMatchObject({ status: 'SUCCESS', note: 'before', weight: 7, doubled: 14, output: null });
      expect(await stored(third.id)).toMatchObject({ status: 'SUCCESS', note: 'before', weight: 1 });
    });

    it('write every kind of value as a single end does', async () => {
      const [many, single] = (await started(2)) as [AttemptRef, AttemptRef];
      const own = {
        '"data"': JSON.stringify({ deep: [1, 'zwei', null] }),
        '"tags"': '{a,"b c"}',
        '"sent_at"': new Date(1e12).toISOString(),
        '"bytes"': Buffer.from([0, 255]),
        '"short"': null,
      };
      await end(many, own);
      await PostgresJobMirror.prototype.succeeded.call(mirror, single, { output: { ok: true }, own });
      const [a, b] = [await stored(many.id), await stored(single.id)];
      for (const column of ['data', 'tags', 'sent_at', 'bytes', 'short', 'output']) expect(a[column]).toEqual(b[column]);
    });

    it('one value that does not fit hurts its own row alone', async () => {
      const refs = await started(3);
      const results = await Promise.allSettled(refs.map((ref, i) => end(ref, { '"short"': i === 1 ? 'much too long' : 'fits' })));
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((results[1] as PromiseRejectedResult).reason).toMatchObject({ code: '22001' });
      expect((await stored(refs[0]!.id))['status']).toBe('SUCCESS');
      expect((await stored(refs[1]!.id))['status']).toBe('STARTED');
      expect((await stored(refs[2]!.id))['status']).toBe('SUCCESS');
    });

    it('tell applied, duplicate and stale apart', async () => {
      const [first, second, third] = (await started(3)) as [AttemptRef, AttemptRef, AttemptRef];
      await end(first);
      await shop.db.query(`update parcel set run_id = 'lane 9' where id = $1`, [second.id]);
      expect(await Promise.all([end(first), end(second), end(third)])).toEqual(['duplicate', 'stale', 'applied']);
      expect(facts.all()).toContainEqual({ fact: 'succeeded', result: 'duplicate', count: 1 });
    });

    it('a row that somebody keeps locked holds the others up no second time', async () => {
      const [locked, other] = (await started(2)) as [AttemptRef, AttemptRef];
      const application = await shop.db.connect();
      try {
        await application.query('begin');
        await application.query('select 1 from parcel where id = $1 for update', [locked.id]);
        await expect(end(locked)).rejects.toMatchObject({ code: '55P03' });
        let statements = 0;
        const count = () => void statements++;
        lanePool.on('acquire', count);
        const again = end(locked).catch(() => undefined);
        expect(await end(other)).toBe('applied');
        lanePool.off('acquire', count);
        // Together they would have been one that waits, and then each its own.
        expect(statements).toBe(2);
        await application.query('rollback');
        await again;
      } finally {
        application.release(true);
      }
    });

    it('are one statement for all that arrive at the same time', async () => {
      const refs = await started(20);
      expect(await Promise.all(refs.map((ref) => end(ref)))).toEqual(refs.map(() => 'applied'));
      const { rows } = await shop.db.query<{ writes: number }>('select count(distinct xmin::text)::int as writes from parcel');
      expect(rows).toEqual([{ writes: 1 }]);
    });
  });
});
