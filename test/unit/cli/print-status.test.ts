import { describe, expect, it } from 'vitest';
import { printCounts } from '../../../src/cli/print-counts.ts';
import { localTime, printJob, short } from '../../../src/cli/print-job.ts';
import { plain, type Screen } from '../../../src/cli/terminal.ts';
import { STATUSES, type Status } from '../../../src/domain/lifecycle.ts';
import type { JobCounts } from '../../../src/inspect/job-counts.ts';
import type { JobReport } from '../../../src/inspect/job-report.ts';

const screen: Screen = { width: 80, isTerminal: true, paint: plain };
const where = { application: 'shop', database: 'db:5432/shop' };

function counts(jobType: string, queue: string, numbers: Partial<Record<Status, number>>, more: Partial<JobCounts> = {}): JobCounts {
  return {
    jobType,
    queue,
    counts: { ...(Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<Status, number>), ...numbers },
    due: 0,
    oldestDueMs: null,
    undispatched: 0,
    oldestUndispatchedMs: null,
    ...more,
  };
}

describe('the counts', () => {
  const rows = [
    counts('Report', 'default', { SUCCESS: 12_345 }),
    counts('SendMail', 'mail', { PENDING: 2, FAILURE: 1 }, { due: 2, oldestDueMs: 65_000 }),
  ];

  it('stand in columns', () => {
    expect(printCounts(rows, where, screen)).toBe(
      [
        "Jobs of 'shop' in db:5432/shop",
        '',
        'JOB TYPE  QUEUE    NEW  PENDING  STARTED  SUCCESS  FAILURE  REVOKED',
        'Report    default    -        -        -    12345        -        -',
        'SendMail  mail       -        2        -        -        1        -',
        '',
        '2 jobs wait for a worker, the oldest for 1 min 5 s.',
        '',
      ].join('\n'),
    );
  });

  it('say what was never dispatched', () => {
    const undispatched = [counts('SendMail', 'mail', { PENDING: 1 }, { undispatched: 1, oldestUndispatchedMs: 3_000 })];
    expect(printCounts(undispatched, where, screen)).toContain(
      'No job waits for a worker.\n1 job never dispatched to Temporal, the oldest for 3 s: see asyncjob doctor.\n',
    );
  });

  it('fit into 80 columns with long names on a terminal, and are whole elsewhere', () => {
    const long = [counts('GenerateQuarterlyComplianceReport', 'low-priority-background', { SUCCESS: 3 })];
    expect(
      printCounts(long, where, screen)
        .split('\n')
        .filter((line) => line.length > 80),
    ).toEqual([]);
    expect(printCounts(long, where, { ...screen, isTerminal: false })).toContain(
      'GenerateQuarterlyComplianceReport  low-priority-background',
    );
  });

  it('of no job are a sentence', () => expect(printCounts([], where, screen)).toBe("Jobs of 'shop' in db:5432/shop: none\n"));
});

const NOW = new Date('2026-11-25T12:00:00.000Z');
const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1_000);

function job(changes: Partial<JobReport> = {}): JobReport {
  return {
    jobType: 'SendMail',
    id: '01900000-0000-7000-8000-000000000001',
    status: 'NEW',
    inLanes: false,
    queue: 'mail',
    priority: null,
    run: 0,
    attempt: 0,
    failures: 0,
    crashes: 0,
    maximumAttempts: 3,
    createdAt: ago(120),
    updatedAt: ago(120),
    enqueuedAt: null,
    runAt: null,
    startedAt: null,
    endedAt: null,
    nextAttemptAt: null,
    progress: null,
    progressMessage: null,
    checkpoint: null,
    output: null,
    errorMessage: null,
    error: null,
    revokeRequestedAt: null,
    revokeReason: null,
    revokedBy: null,
    worker: null,
    own: {},
    attempts: [],
    temporal: null,
    now: NOW,
    ...changes,
  };
}

describe('one job', () => {
  it('that is NEW is short', () => {
    expect(printJob(job(), screen)).toBe(
      `SendMail 01900000-0000-7000-8000-000000000001 NEW\n  queue    mail\n  created  ${localTime(ago(120))} (2 min ago)\n`,
    );
  });

  const failed = job({
    status: 'FAILURE',
    run: 1,
    attempt: 2,
    failures: 2,
    priority: 1,
    enqueuedAt: ago(119),
    startedAt: ago(60),
    endedAt: ago(50),
    progress: 0.424,
    progressMessage: 'page 3 of 7',
    worker: { id: 'host-1:100:aaaa', state: 'dead', seenMsAgo: 45_000 },
    own: { to: 'ada@example.org', body: 'x'.repeat(1_000), options: { cc: ['a', 'b'] }, sent: null },
    errorMessage: 'CardError: card declined',
    error: {
      type: 'CardError',
      message: 'card declined',
      code: 'card_declined',
      stack: `CardError: card declined\n${Array.from({ length: 9 }, (_, i) => `    at f${i} (pay.ts:${i}:1)`).join('\n')}`,
      retryable: false,
    },
    attempts: [
      {
        run: 1,
        attempt: 1,
        outcome: 'failed',
        workerId: 'host-1:100:aaaa',
        startedAt: ago(100),
        endedAt: ago(90),
        errorMessage: 'Error: first\nsecond line',
      },
      { run: 1, attempt: 2, outcome: 'handed_back', workerId: null, startedAt: null, endedAt: ago(50), errorMessage: 'shutdown' },
    ],
    temporal: {
      address: 'temporal:7233',
      namespace: 'default',
      taskQueue: 'shop/mail',
      workflowId: 'SendMail/01900000-0000-7000-8000-000000000001/1',
      runId: '01900000-0000-7000-8000-0000000000ff',
      link: null,
    },
  });

  it('that failed says how, where and how often', () => {
    const text = printJob(failed, screen);
    expect(text).toContain('  queue     mail, priority 1\n');
    expect(text).toContain('  run       1, attempt 2; failures 2 of 3, crashes 0\n');
    expect(text).toContain('  progress  42 % page 3 of 7\n');
    expect(text).toContain('  worker    host-1:100:aaaa (died, last seen 45 s ago)\n');
    expect(text).toContain(`  ended     ${localTime(ago(50))} (50 s ago), ran 10 s\n`);
    expect(text).toContain('Error\n  CardError: card declined [card_declined]\n    at f0 (pay.ts:0:1)\n');
    expect(text).toContain('    at f4 (pay.ts:4:1)\n    … 4 more\n');
    expect(text).toContain("  options  { cc: [ 'a', 'b' ] }\n  sent     null\n");
    expect(text).toContain('  1    1        failed       1 min 30 s ago  10 s  host-1:100:aaaa\n    Error: first\n');
    expect(text).toContain('  1    2        handed_back  50 s ago        -     -\n\n');
    expect(text).toContain(
      "  temporal workflow describe --address temporal:7233 --namespace default \\\n    --workflow-id 'SendMail/01900000-0000-7000-8000-000000000001/1'\n",
    );
    expect(text).not.toContain('x'.repeat(301));
  });

  it('has a link where Temporal’s UI is known', () => {
    const text = printJob(job({ ...failed, temporal: { ...failed.temporal!, link: 'http://ui/x' } }), screen);
    expect(text).toContain('  http://ui/x\n');
    expect(text).not.toContain('temporal workflow describe');
  });

  it('that waits says for what', () => {
    const waiting = job({ status: 'PENDING', run: 1, attempt: 1, enqueuedAt: ago(10), nextAttemptAt: ago(-30), runAt: ago(5) });
    expect(printJob(waiting, screen)).toContain(`  next attempt  ${localTime(ago(-30))} (in 30 s)\n`);
    expect(printJob(waiting, screen)).toContain('Temporal\n  not dispatched\n');
  });

  it('that was revoked says by whom and why', () => {
    const revoked = job({ status: 'REVOKED', revokeRequestedAt: ago(3), revokedBy: 'ada', revokeReason: 'not needed', endedAt: ago(3) });
    expect(printJob(revoked, screen)).toContain(`${localTime(ago(3))} (3 s ago) by ada: not needed\n`);
  });

  it('waited from the time that it asked for', () => {
    const started = job({ status: 'STARTED', run: 1, attempt: 1, enqueuedAt: ago(100), runAt: ago(20), startedAt: ago(18) });
    expect(printJob(started, screen)).toContain('(18 s ago), waited 2 s\n');
    expect(printJob(started, screen)).toContain('running for  18 s\n');
  });
});

it('short() shows a value in one line', () => {
  expect(['a\n  b', '', null, 5, { a: [1, 2] }].map(short)).toEqual(['a b', "''", 'null', '5', '{ a: [ 1, 2 ] }']);
});
