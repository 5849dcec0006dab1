// Facts late, twice and out of order: whatever arrives when, a row only moves forward.
import fc from 'fast-check';
import { AsyncJobAttempt, AsyncJobWorker } from 'asyncjob';
import { afterEach, expect, it } from 'vitest';
import { toErrorRecord } from '../../src/domain/errors.ts';
import { jobTableOf, libraryTables } from '../../src/mirror/job-table.ts';
import { PostgresJobMirror } from '../../src/mirror/postgres-job-mirror.ts';
import { retryStatement, revokeStatement } from '../../src/mirror/statements.ts';
import { Quick } from './fixtures/app/jobs.ts';
import { readMoves } from './support/audit.ts';
import { checkHistory, explain } from './support/check-history.ts';
import { IS_LONG } from './support/patience.ts';
import { withStage } from './support/with-stage.ts';

const stage = withStage();

const RUNS = IS_LONG ? 5_000 : 200;
const ERROR = toErrorRecord(new Error('boom'), true);

/** Rules that concern the row alone: here no handler runs, and nobody is asked. */
const RULES_OF_ROWS = ['only moves of the lifecycle', 'the order key never goes back', 'one settled status a run', 'SUCCESS is for ever'];

const NOTHING_DONE = {
  effects: [],
  deaths: [],
  freezes: [],
  outages: [],
  revocations: new Set<string>(),
  limits: { Quick: { maximumAttempts: 1, crashRetries: 1 } },
  workerTtlMs: 1_000,
  stuckAfterMs: Infinity,
  now: 0,
};

interface Fact {
  kind: (typeof KINDS)[number];
  run: number;
  attempt: number;
  runId: string;
  worker: string;
}

const KINDS = [
  'dispatched',
  'started',
  'progress',
  'succeeded',
  'failedWillRetry',
  'failed',
  'handedBack',
  'finalizedFailure',
  'finalizedRevoked',
  'nextRun',
  'revoke',
  'terminate',
  'retry',
  'workerDies',
] as const;

const fact: fc.Arbitrary<Fact> = fc.record({
  kind: fc.constantFrom(...KINDS, 'started', 'started', 'succeeded'),
  // Mostly of one execution, so that many facts apply.
  run: fc.constantFrom(1, 1, 1, 2, 3),
  attempt: fc.constantFrom(1, 1, 2, 3),
  runId: fc.constantFrom('one', 'one', 'one', 'two'),
  worker: fc.constantFrom('host:1:a', 'host:2:b'),
});

/** Tells a new row these facts, one after the other; resolves with what went wrong, in words, or ''. */
function teller(): (facts: readonly Fact[]) => Promise<string> {
  const { db, app } = stage();
  const metadata = app.orm.getMetadata();
  const table = jobTableOf('Quick', metadata.get(Quick));
  const library = libraryTables(metadata, { attempts: AsyncJobAttempt, workers: AsyncJobWorker });
  const mirror = new PostgresJobMirror({ pool: db, tables: new Map([['Quick', table]]), library, applicationName: 'facts' });

  const revive = () =>
    db.query(`insert into async_job_worker (id, application, host, pid, version, queues, concurrency, expires_at, seen_at, alive_since)
      select id, '', 'host', 1, '0', '[]', 1, now() + interval '1 hour', now() + interval '1 hour' - interval '1 second', now() - interval '1 hour'
      from unnest(array['host:1:a', 'host:2:b']) id
      on conflict (id) do update set expires_at = excluded.expires_at`);

  async function tell(id: string, { kind, run, attempt, runId, worker }: Fact): Promise<unknown> {
    const ref = { jobType: 'Quick', id, run, attempt, runId };
    switch (kind) {
      case 'dispatched':
        return mirror.dispatched(ref, runId, `facts/Quick/${id}/${run}`);
      case 'started':
        return mirror.start(ref, { worker, crashRetries: 1, runningHere: false });
      case 'progress':
        return mirror.progress(ref, { progress: 0.5 });
      case 'succeeded':
        return mirror.succeeded(ref, { output: null, own: {} });
      case 'failedWillRetry':
        return mirror.failed(ref, { error: ERROR, nextAttemptAt: new Date(), outcome: 'failed' });
      case 'failed':
        return mirror.failed(ref, { error: ERROR, nextAttemptAt: null, outcome: 'failed' });
      case 'handedBack':
        return mirror.handedBack(ref, 'shutdown');
      case 'finalizedFailure':
        return mirror.finalized(ref, { status: 'FAILURE', error: ERROR });
      case 'finalizedRevoked':
        return mirror.finalized(ref, { status: 'REVOKED', error: null });
      case 'nextRun':
        return mirror.nextRun(ref, runId, { why: 'it is gone', worker: null });
      case 'revoke':
      case 'terminate':
        return db.query(revokeStatement(table), [[id], null, null, kind === 'terminate']);
      case 'retry':
        return db.query(retryStatement(table, []), [[id], null, null, null]);
      case 'workerDies':
        return db.query('update async_job_worker set expires_at = now() where id = $1', [worker]);
    }
  }

  return async (facts) => {
    await revive();
    const { rows } = await db.query<{ id: string }>(
      `insert into quick (status, run, enqueued_at) values ('PENDING', 1, now()) returning id::text`,
    );
    const { id } = rows[0]!;
    for (const each of facts) await tell(id, each);
    const moves = await readMoves(db, id);
    const row = { ...(await stage().row((await Quick.get(id))!)), note: '' };
    const { violations } = checkHistory({ ...NOTHING_DONE, rows: [row], moves });
    return explain(
      violations.filter(({ rule }) => RULES_OF_ROWS.includes(rule)),
      { moves, effects: [] },
    );
  };
}

afterEach(async () => {
  // Nobody runs these rows: they are no jobs for the checker after a test.
  await stage().db.query('truncate quick, chaos_move, async_job_worker, async_job_attempt');
});

it('any facts in any order, repeated or late, move a row only forward and settle each run once', async () => {
  const wrongAfter = teller();
  await fc.assert(
    fc.asyncProperty(fc.array(fact, { minLength: 5, maxLength: 25 }), async (facts) => {
      expect(await wrongAfter(facts)).toBe('');
    }),
    { numRuns: RUNS, seed: Number(process.env['CHAOS_SEED'] ?? 1) },
  );
});

it('a lost run whose revocation was asked for is REVOKED with the attempt that it had', async () => {
  const at = { run: 1, attempt: 1, runId: 'one', worker: 'host:1:a' };
  const facts = (['started', 'revoke', 'workerDies', 'nextRun'] as const).map((kind) => ({ kind, ...at }));
  expect(await teller()(facts)).toBe('');
});
