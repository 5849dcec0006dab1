// The guards of the mirror: which fact is applied, which is a duplicate, which is stale; when an attempt may start.
// Written against the port, run by its PostgreSQL implementation on the real server.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AttemptRef, JobMirror } from '../../src/domain/ports.ts';
import { STATUSES, type Status } from '../../src/domain/lifecycle.ts';
import { toErrorRecord } from '../../src/domain/errors.ts';
import { PostgresJobMirror } from '../../src/mirror/postgres-job-mirror.ts';
import { jobTableOf, libraryTables } from '../../src/mirror/job-table.ts';
import { AsyncJobAttempt, AsyncJobWorker } from '../../src/index.ts';
import { openShop, SendInvoice, type Shop } from '../support/shop.ts';

const ERROR = toErrorRecord(new TypeError('boom'), false);

describe('the mirror', () => {
  let shop: Shop;
  let mirror: JobMirror;
  beforeAll(async () => {
    shop = await openShop({ engine: 'inline' });
    const metadata = shop.app.orm.getMetadata();
    const tables = new Map([['SendInvoice', jobTableOf('SendInvoice', metadata.get(SendInvoice))]]);
    mirror = new PostgresJobMirror({
      pool: shop.db,
      tables,
      library: libraryTables(metadata, { attempts: AsyncJobAttempt, workers: AsyncJobWorker }),
      applicationName: 'shop',
    });
  });
  afterAll(() => shop?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    await shop.db.query('truncate send_invoice, async_job_attempt, async_job_worker');
    await worker('me');
  });

  // Rows in any position, as the database knows them.
  async function row(values: Record<string, unknown> = {}): Promise<AttemptRef> {
    const {
      status = 'PENDING',
      run = 1,
      attempt = 0,
      run_id: runId = 'exec',
      ...others
    } = values as { status?: Status; run?: number; attempt?: number; run_id?: string | null };
    const columns = { status, run, attempt, run_id: runId, ...others } as Record<string, unknown>;
    const names = Object.keys(columns);
    const { rows } = await shop.db.query<{ id: string }>(
      `insert into send_invoice (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')}) returning id`,
      Object.values(columns),
    );
    return { jobType: 'SendInvoice', id: rows[0]!.id, run, attempt, runId: runId ?? 'exec' };
  }
  async function stored(ref: AttemptRef): Promise<Record<string, unknown>> {
    return (await shop.db.query('select * from send_invoice where id = $1', [ref.id])).rows[0] as Record<string, unknown>;
  }
  async function history(ref: AttemptRef): Promise<object[]> {
    return (await shop.db.query('select run, attempt, outcome from async_job_attempt where job_id = $1 order by attempt', [ref.id]))
      .rows as object[];
  }
  async function worker(
    id: string,
    state: { alive?: boolean; stopped?: boolean; beat?: number; jobs?: string[]; aliveFor?: string } = {},
  ): Promise<void> {
    const { alive = true, stopped = false, beat = 5, jobs = [], aliveFor = '1 hour' } = state;
    await shop.db.query(
      `insert into async_job_worker (id, application, host, pid, version, queues, concurrency, expires_at, stopped_at, beat, jobs, seen_at, alive_since)
       values ($1, '', 'h', 1, '0', '[]', 1, now() + $2::interval, $3, $4, $5::jsonb, now() + $2::interval - interval '1 minute', now() - $6::interval)`,
      [id, alive ? '1 minute' : '-1 minute', stopped ? new Date() : null, beat, JSON.stringify(jobs), aliveFor],
    );
  }
  const next = (ref: AttemptRef): AttemptRef => ({ ...ref, attempt: ref.attempt + 1 });
  const start = (ref: AttemptRef, by: Partial<Parameters<JobMirror['start']>[1]> = {}) =>
    mirror.start(ref, { worker: 'me', crashRetries: 3, runningHere: false, ...by });

  describe('a start', () => {
    it('makes a PENDING row STARTED, held by its worker, and returns it', async () => {
      const ref = await row();
      expect(await start(next(ref))).toMatchObject({
        kind: 'started',
        row: { id: ref.id, status: 'STARTED', attempt: 1, holder: 'me', holder_beat: 5, worker_id: 'me' },
      });
    });

    it('repeated because its answer was lost is the same start', async () => {
      const ref = next(await row());
      await start(ref);
      expect(await start(ref)).toMatchObject({ kind: 'started', row: { attempt: 1, crashes: 0 } });
      expect(await start(ref, { runningHere: true })).toMatchObject({ kind: 'wait', because: 'held' });
    });

    it.each(['SUCCESS', 'FAILURE', 'REVOKED', 'NEW'] as const)('never begins on a row that is %s', async (status) => {
      const ref = next(await row({ status }));
      const kinds = { SUCCESS: 'succeeded', FAILURE: 'refused', REVOKED: 'revoked', NEW: 'refused' };
      expect((await start(ref)).kind).toBe(kinds[status]);
      expect(await stored(ref)).toMatchObject({ status, attempt: 0 });
    });

    it('of an older run is refused for ever', async () => {
      const ref = await row({ run: 2 });
      expect(await start({ ...ref, run: 1, attempt: 1 })).toMatchObject({ kind: 'refused', run: 2 });
    });

    it('whose number the row knows already steps back, so that numbers catch up', async () => {
      const ref = await row({ attempt: 4, run_id: 'lost' });
      expect(await start({ ...ref, runId: 'new', attempt: 1 })).toEqual({ kind: 'behind' });
      expect((await start({ ...ref, runId: 'new', attempt: 5 })).kind).toBe('started');
    });

    it('finds a job without a row', async () => {
      expect(await start({ jobType: 'SendInvoice', id: crypto.randomUUID(), run: 1, attempt: 1, runId: 'x' })).toEqual({
        kind: 'not_found',
      });
    });

    it('of a row that carries the intent to revoke makes it REVOKED', async () => {
      const ref = next(await row({ status: 'STARTED', attempt: 1, holder: 'gone', revoke_requested_at: new Date() }));
      await worker('gone', { alive: false });
      expect(await start(ref)).toEqual({ kind: 'revoked' });
      expect(await stored(ref)).toMatchObject({ status: 'REVOKED' });
    });

    it('does not happen in a worker whose own registry row has expired', async () => {
      await shop.db.query(`update async_job_worker set expires_at = now() - interval '1 second' where id = 'me'`);
      const ref = next(await row());
      expect(await start(ref)).toEqual({ kind: 'wait', because: 'registry' });
      expect(await stored(ref)).toMatchObject({ status: 'PENDING' });
    });

    describe('while the row has a holder', () => {
      it('waits when the holder lives and lists the job', async () => {
        const ref = await row({ status: 'STARTED', attempt: 1, holder: 'other', holder_beat: 1 });
        await worker('other', { beat: 9, jobs: [ref.id] });
        expect(await start(next(ref))).toEqual({ kind: 'wait', because: 'held' });
      });

      it('waits when the holder lives and has not published its list since', async () => {
        const ref = await row({ status: 'STARTED', attempt: 1, holder: 'other', holder_beat: 9 });
        await worker('other', { beat: 9, jobs: [] });
        expect(await start(next(ref))).toEqual({ kind: 'wait', because: 'held' });
      });

      it('waits also in the next run after a terminated one', async () => {
        const ref = await row({ status: 'PENDING', run: 2, attempt: 0, run_id: null, holder: 'other', holder_beat: 1 });
        await worker('other', { beat: 9, jobs: [ref.id] });
        expect(await start({ ...ref, runId: 'second', attempt: 1 })).toEqual({ kind: 'wait', because: 'held' });
      });

      it('takes over without a crash when the living holder has let go', async () => {
        const ref = await row({ status: 'STARTED', attempt: 1, holder: 'other', holder_beat: 1 });
        await worker('other', { beat: 9, jobs: [] });
        expect(await start(next(ref))).toMatchObject({ kind: 'started', row: { crashes: 0, holder: 'me', attempt: 2 } });
      });

      it('takes over without a crash when the holder ended orderly', async () => {
        const ref = await row({ status: 'STARTED', attempt: 1, holder: 'other', holder_beat: 1 });
        await worker('other', { alive: false, stopped: true });
        expect(await start(next(ref))).toMatchObject({ kind: 'started', row: { crashes: 0 } });
      });

      it('takes over and counts a crash when the holder died while it ran', async () => {
        const ref = await row({ status: 'STARTED', attempt: 1, holder: 'other', holder_beat: 1 });
        await worker('other', { alive: false, jobs: [ref.id] });
        expect(await start(next(ref))).toMatchObject({ kind: 'started', row: { crashes: 1, attempt: 2 } });
        expect(await history(ref)).toEqual([{ run: 1, attempt: 1, outcome: 'crashed' }]);
      });

      it('waits while everybody looks dead after an outage, until its own beats have been unbroken for a time to live', async () => {
        const ref = await row({ status: 'STARTED', attempt: 1, holder: 'other', holder_beat: 1 });
        await worker('other', { alive: false, jobs: [ref.id] });
        await worker('back', { aliveFor: '10 seconds' });
        expect(await start(next(ref), { worker: 'back' })).toEqual({ kind: 'wait', because: 'held' });
        expect(await start(next(ref))).toMatchObject({ kind: 'started', row: { crashes: 1 } });
      });

      it('counts no crash when the dead holder’s row was PENDING', async () => {
        const ref = await row({ status: 'PENDING', attempt: 1, holder: 'other', holder_beat: 1 });
        await worker('other', { alive: false });
        expect(await start(next(ref))).toMatchObject({ kind: 'started', row: { crashes: 0 } });
      });

      it('ends a job that crashes repeatedly as FAILURE', async () => {
        const ref = await row({ status: 'STARTED', attempt: 3, crashes: 1, holder: 'other' });
        await worker('other', { alive: false });
        expect(await start(next(ref), { crashRetries: 1 })).toEqual({ kind: 'crashed' });
        expect(await stored(ref)).toMatchObject({ status: 'FAILURE', crashes: 2, error: { code: 'job.crashed_repeatedly' } });
      });

      it('waits when this very process still runs it', async () => {
        const ref = await row({ status: 'STARTED', attempt: 1, holder: 'me', holder_beat: 1 });
        expect(await start(next(ref), { runningHere: true })).toEqual({ kind: 'wait', because: 'held' });
        expect((await start(next(ref))).kind).toBe('started');
      });
    });
  });

  describe('an end', () => {
    const started = () => row({ status: 'STARTED', attempt: 1, holder: 'me', holder_beat: 1 });
    const ends: [string, (ref: AttemptRef) => Promise<unknown>, Status][] = [
      ['succeeded', async (ref) => mirror.succeeded(ref, { output: { a: 1 }, own: { '"note"': 'n' } }), 'SUCCESS'],
      [
        'failed for good',
        async (ref) => (await mirror.failed(ref, { error: ERROR, nextAttemptAt: null, outcome: 'failed' })).result,
        'FAILURE',
      ],
      [
        'failed for now',
        async (ref) => (await mirror.failed(ref, { error: ERROR, nextAttemptAt: new Date(), outcome: 'failed' })).result,
        'PENDING',
      ],
      ['handed back', async (ref) => (await mirror.handedBack(ref, 'shutdown')).result, 'PENDING'],
    ];

    it.each(ends)('%s is applied once, and the second time a duplicate', async (_name, end, status) => {
      const ref = await started();
      expect(await end(ref)).toBe('applied');
      const after = await stored(ref);
      expect(after).toMatchObject({ status, holder: null, holder_beat: null });
      expect(await end(ref)).toBe('duplicate');
      expect(await stored(ref)).toEqual(after);
    });

    it.each(ends)('%s of an older attempt, an older run or another execution is stale and changes nothing', async (_name, end) => {
      for (const wrong of [{ attempt: 0 }, { run: 0 }, { runId: 'another' }]) {
        const ref = await started();
        const before = await stored(ref);
        expect(await end({ ...ref, ...wrong })).toBe('stale');
        expect(await stored(ref)).toEqual(before);
      }
    });

    it.each(ends)('%s never changes a row that is settled otherwise', async (_name, end, leadsTo) => {
      for (const status of STATUSES.filter((each) => each !== 'STARTED' && each !== leadsTo && each !== 'PENDING')) {
        const ref = await row({ status, attempt: 1 });
        await end(ref);
        expect((await stored(ref))['status']).toBe(status);
      }
    });

    it('that is no success becomes REVOKED when that was asked for', async () => {
      for (const [, end] of ends.slice(1)) {
        const ref = await row({ status: 'STARTED', attempt: 1, holder: 'me', revoke_requested_at: new Date() });
        await end(ref);
        expect(await stored(ref)).toMatchObject({ status: 'REVOKED' });
        expect(await history(ref)).toEqual([{ run: 1, attempt: 1, outcome: 'revoked' }]);
      }
    });

    it('that is a success stays one although revocation was asked for', async () => {
      const ref = await row({ status: 'STARTED', attempt: 1, holder: 'me', revoke_requested_at: new Date() });
      expect(await mirror.succeeded(ref, { output: null, own: {} })).toBe('applied');
      expect(await stored(ref)).toMatchObject({ status: 'SUCCESS' });
    });

    it('is written together with the handler’s own columns, or not at all', async () => {
      const ref = await started();
      await expect(mirror.succeeded(ref, { output: null, own: { '"short"': 'much too long' } })).rejects.toMatchObject({ code: '22001' });
      expect(await stored(ref)).toMatchObject({ status: 'STARTED', short: null });
      expect(await mirror.succeeded({ ...ref, attempt: 9 }, { output: null, own: { '"note"': 'zombie' } })).toBe('stale');
      expect(await stored(ref)).toMatchObject({ status: 'STARTED', note: null });
    });
  });

  describe('progress and checkpoint', () => {
    it('are written only for the attempt that the row knows', async () => {
      const ref = await row({ status: 'STARTED', attempt: 2 });
      expect(await mirror.progress(ref, { progress: 0.5, message: 'half', checkpoint: { page: 2 } })).toEqual({
        result: 'applied',
        revokeRequested: false,
      });
      expect(await mirror.progress({ ...ref, attempt: 1 }, { progress: 0.1 })).toMatchObject({ result: 'stale' });
      expect(await stored(ref)).toMatchObject({ progress: 0.5, progress_message: 'half', checkpoint: { page: 2 } });
    });

    it('tell the attempt that revocation was asked for', async () => {
      const ref = await row({ status: 'STARTED', attempt: 1, revoke_requested_at: new Date() });
      expect(await mirror.progress(ref, {})).toEqual({ result: 'applied', revokeRequested: true });
    });
  });

  describe('the last word', () => {
    it.each([
      ['PENDING', 'FAILURE'],
      ['STARTED', 'FAILURE'],
      ['PENDING', 'REVOKED'],
      ['STARTED', 'REVOKED'],
    ] as const)('settles %s as %s, and keeps the holder', async (from, status) => {
      const ref = await row({ status: from, attempt: 1, holder: 'other' });
      expect(await mirror.finalized(ref, { status, error: ERROR })).toEqual({ result: 'applied', status });
      expect(await stored(ref)).toMatchObject({ status, holder: 'other' });
      expect((await mirror.finalized(ref, { status, error: ERROR })).result).toBe('duplicate');
    });

    it('changes nothing that is settled, of another run, or of another execution', async () => {
      for (const values of [{ status: 'SUCCESS' }, { status: 'REVOKED' }, { run: 2 }, { run_id: 'newer' }]) {
        const ref = await row({ attempt: 1, ...values });
        const before = await stored(ref);
        expect((await mirror.finalized({ ...ref, run: 1, runId: 'exec' }, { status: 'FAILURE', error: ERROR })).result).toBe('stale');
        expect(await stored(ref)).toEqual(before);
      }
    });

    it('is REVOKED rather than FAILURE when revocation was asked for', async () => {
      const ref = await row({ revoke_requested_at: new Date() });
      expect(await mirror.finalized(ref, { status: 'FAILURE', error: ERROR })).toEqual({ result: 'applied', status: 'REVOKED' });
    });
  });

  describe('the reconciler’s word', () => {
    const nextRun = (ref: AttemptRef, by: { runId?: string; worker?: string | null } = {}) =>
      mirror.nextRun(ref, by.runId ?? ref.runId, { why: 'it is gone', worker: by.worker === undefined ? 'me' : by.worker });
    const ended = (ref: AttemptRef) => mirror.ended(ref, ref.runId, { by: 'ann', reason: 'wrong data' });

    it.each(['PENDING', 'STARTED'] as const)('on an execution that somebody ended makes a row that is %s REVOKED', async (status) => {
      const ref = await row({ status, attempt: 1, holder: 'other', holder_beat: 5 });
      expect(await ended(ref)).toBe('applied');
      expect(await stored(ref)).toMatchObject({ status: 'REVOKED', revoked_by: 'ann', revoke_reason: 'wrong data', holder: 'other' });
      expect(await history(ref)).toEqual(status === 'STARTED' ? [{ run: 1, attempt: 1, outcome: 'revoked' }] : []);
      expect(await ended(ref)).toBe('stale');
    });

    it.each(['NEW', 'SUCCESS', 'FAILURE', 'REVOKED'] as const)('changes nothing on a row that is %s', async (status) => {
      const ref = await row({ status });
      expect(await ended(ref)).toBe('stale');
      expect(await nextRun(ref)).toBeNull();
      expect(await stored(ref)).toMatchObject({ status, run: 1 });
    });

    it('changes nothing when the row is in another run, or names another execution, than was looked at', async () => {
      const ref = await row();
      for (const other of [
        { ...ref, run: 2 },
        { ...ref, runId: 'another' },
      ]) {
        expect(await ended(other)).toBe('stale');
        expect(await nextRun(other)).toBeNull();
      }
      expect(await stored(ref)).toMatchObject({ status: 'PENDING', run: 1, run_id: 'exec' });
    });

    it('on an execution that is gone gives the next run; holder and counters stay', async () => {
      const ref = await row({ status: 'STARTED', attempt: 3, failures: 2, crashes: 1, holder: 'dead', holder_beat: 4 });
      await worker('dead', { alive: false });
      expect(await nextRun(ref)).toMatchObject({ status: 'PENDING', run: 2, queue: 'default', runAt: null, priority: null });
      expect(await stored(ref)).toMatchObject({
        status: 'PENDING',
        attempt: 0,
        failures: 2,
        crashes: 1,
        holder: 'dead',
        holder_beat: 4,
        run_id: null,
      });
      expect(await history(ref)).toEqual([{ run: 1, attempt: 3, outcome: 'lost' }]);
      expect(await nextRun(ref)).toBeNull();
    });

    it('never re-dispatches what a living worker holds', async () => {
      const ref = await row({ status: 'STARTED', attempt: 1, holder: 'other', holder_beat: 5 });
      await worker('other', { jobs: [ref.id], beat: 9 });
      expect(await nextRun(ref)).toBeNull();
      const unlisted = await row({ status: 'STARTED', attempt: 1, holder: 'other', holder_beat: 9 });
      expect(await nextRun(unlisted)).toBeNull();
      const letGo = await row({ status: 'STARTED', attempt: 1, holder: 'other', holder_beat: 8 });
      expect(await nextRun(letGo)).toMatchObject({ run: 2 });
    });

    it('takes nobody for dead after an outage, until this worker’s own beats have been unbroken for a time to live', async () => {
      await worker('fresh', { aliveFor: '1 second' });
      await worker('dead', { alive: false });
      const ref = await row({ status: 'STARTED', attempt: 1, holder: 'dead', holder_beat: 5 });
      expect(await nextRun(ref, { worker: 'fresh' })).toBeNull();
      expect(await nextRun(ref)).toMatchObject({ run: 2 });
    });

    it('takes nobody for dead after an outage that its own registry row has outlasted, before its next beat', async () => {
      await worker('dead', { alive: false });
      const ref = await row({ status: 'STARTED', attempt: 1, holder: 'dead', holder_beat: 5 });
      const beatWas = (ago: string) =>
        shop.db.query(
          `update async_job_worker set seen_at = now() - $1::interval, expires_at = now() - $1::interval + interval '1 minute' where id = 'me'`,
          [ago],
        );
      await beatWas('31 seconds');
      expect(await nextRun(ref)).toBeNull();
      await beatWas('29 seconds');
      expect(await nextRun(ref)).toMatchObject({ run: 2 });
    });

    it('takes nobody for dead while its own registry row has expired: nobody could say that they live', async () => {
      await worker('expired', { alive: false });
      await worker('dead', { alive: false });
      const ref = await row({ status: 'STARTED', attempt: 1, holder: 'dead', holder_beat: 5 });
      expect(await nextRun(ref, { worker: 'expired' })).toBeNull();
      expect(await nextRun(ref, { worker: null })).toMatchObject({ run: 2 });
    });

    it('is REVOKED instead of another run when that was asked for', async () => {
      const ref = await row({ status: 'STARTED', attempt: 1, revoke_requested_at: new Date() });
      expect(await nextRun(ref)).toMatchObject({ status: 'REVOKED', run: 1 });
      expect(await stored(ref)).toMatchObject({ status: 'REVOKED', run: 1 });
    });
  });

  it('notes the execution of a run once', async () => {
    const ref = await row({ run_id: null });
    expect(await mirror.dispatched(ref, 'first', 'w')).toBe('applied');
    expect(await mirror.dispatched(ref, 'first', 'w')).toBe('duplicate');
    expect(await mirror.dispatched(ref, 'second', 'w')).toBe('stale');
    expect(await mirror.dispatched({ ...ref, run: 0 }, 'first', 'w')).toBe('stale');
    expect(await stored(ref)).toMatchObject({ run_id: 'first', workflow_id: 'w' });
  });

  it('notes many executions at once, and after them a row that somebody writes just now', async () => {
    const [free, started, written] = [await row({ run_id: null }), await row({ run_id: 'same' }), await row({ run_id: null })];
    const client = await shop.db.connect();
    let late: Promise<unknown>;
    try {
      await client.query('begin');
      await client.query('select from send_invoice where id = $1 for update', [written.id]);
      late = mirror.dispatched(written, 'same', 'w');
      const others = [free, started, { ...free, id: crypto.randomUUID() }].map((ref) => mirror.dispatched(ref, 'same', 'w'));
      expect(await Promise.all(others)).toEqual(['applied', 'duplicate', 'stale']);
    } finally {
      await client.query('rollback');
      client.release();
    }
    expect(await late).toBe('applied');
    expect(await stored(written)).toMatchObject({ run_id: 'same', workflow_id: 'w' });
  });
});
