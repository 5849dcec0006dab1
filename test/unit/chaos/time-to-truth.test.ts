// How the chaos suite measures for how long rows were wrong.
import { expect, it } from 'vitest';
import type { Move } from '../../chaos/support/audit.ts';
import type { Effect } from '../../chaos/support/check-history.ts';
import { timesToTruth } from '../../chaos/support/time-to-truth.ts';

let moves: Move[];
const move = (jobId: string, at: number, to: Move['to'], more: Partial<Move> = {}): Move => ({
  jobType: 'Quick',
  jobId,
  from: null,
  to,
  run: 1,
  attempt: 1,
  runId: null,
  holder: null,
  failures: 0,
  crashes: 0,
  at,
  ...more,
});
const by = (pid: number) => ({ holder: `host:${pid}:x`, runId: 'one' });
const times = (more: Partial<Parameters<typeof timesToTruth>[0]>) =>
  timesToTruth({ moves, effects: [], deaths: [], freezes: [], outages: [], workerTtlMs: 1_000, ...more });

it('measures from the death of a worker until others take its rows, and only its rows', () => {
  moves = [
    move('a', 0, 'STARTED', by(7)),
    move('b', 0, 'STARTED', by(8)),
    move('c', 0, 'STARTED', by(7)),
    move('c', 50, 'SUCCESS'),
    move('a', 4_100, 'STARTED', by(8)),
    move('b', 5_000, 'SUCCESS'),
  ];
  expect(times({ deaths: [{ pid: 7, at: 100 }] })['worker died']).toEqual({ incidents: 1, rows: 1, median: 4_000, worst: 4_000 });
  expect(times({ freezes: [{ pid: 7, from: 100, to: 1_200 }] })['worker hung']).toMatchObject({ incidents: 1, rows: 1, worst: 4_000 });
  expect(times({ freezes: [{ pid: 7, from: 100, to: 200 }] })['worker hung']).toMatchObject({ incidents: 0, rows: 0, worst: null });
});

it('measures from the return of PostgreSQL until it says how handlers ended meanwhile', () => {
  moves = [move('a', 0, 'STARTED', by(7)), move('a', 900, 'SUCCESS'), move('b', 0, 'STARTED', by(7)), move('b', 950, 'SUCCESS')];
  const ended: Effect = { jobType: 'Quick', jobId: 'a', run: 1, attempt: 1, pid: 7, what: 'ended', detail: '', at: 200 };
  const outages = [{ server: 'postgres' as const, from: 100, to: 500, lost: false }];
  expect(times({ effects: [ended], outages })['PostgreSQL restarted']).toEqual({ incidents: 1, rows: 1, median: 400, worst: 400 });
});

it('measures from the return of Temporal until what was enqueued meanwhile is dispatched, or what it lost runs anew', () => {
  moves = [
    move('new', 200, 'PENDING'),
    move('new', 700, 'PENDING', { runId: 'two' }),
    move('open', 0, 'PENDING', { runId: 'one' }),
    move('open', 1_500, 'PENDING', { run: 2 }),
    move('living', 0, 'STARTED', by(7)),
    move('living', 2_000, 'SUCCESS'),
  ];
  const outage = { server: 'temporal' as const, from: 100, to: 500 };
  expect(times({ outages: [{ ...outage, lost: false }] })['Temporal restarted']).toEqual({
    incidents: 1,
    rows: 1,
    median: 200,
    worst: 200,
  });
  expect(times({ outages: [{ ...outage, lost: true }] })['Temporal lost everything']).toEqual({
    incidents: 1,
    rows: 1,
    median: 1_000,
    worst: 1_000,
  });
});
