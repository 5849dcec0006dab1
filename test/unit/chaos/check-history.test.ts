// The checker of the chaos suite: each rule says yes to what is right, and finds what is not.
import { expect, it } from 'vitest';
import type { Move } from '../../chaos/support/audit.ts';
import { checkHistory, type Effect, type History, type RowState } from '../../chaos/support/check-history.ts';

const job = { jobType: 'Quick', jobId: 'a' };
const move = (at: number, from: Move['from'], to: Move['to'], more: Partial<Move> = {}): Move => ({
  ...job,
  from,
  to,
  run: 1,
  attempt: 0,
  runId: null,
  holder: null,
  failures: 0,
  crashes: 0,
  at,
  ...more,
});
const effect = (at: number, what: Effect['what'], more: Partial<Effect> = {}): Effect => ({
  ...job,
  run: 1,
  attempt: 1,
  pid: 7,
  what,
  detail: '',
  at,
  ...more,
});
const row = (status: RowState['status'], more: Partial<RowState> = {}): RowState => ({
  jobType: 'Quick',
  id: 'a',
  status,
  run: 1,
  attempt: 1,
  failures: 0,
  crashes: 0,
  note: status === 'SUCCESS' ? 'done' : null,
  ...more,
});
const by = (pid: number, attempt = 1) => ({ attempt, holder: `host:${pid}:x` });

const enqueued = move(0, null, 'PENDING');
const started = move(1_000, 'PENDING', 'STARTED', by(7));
const good = {
  rows: [row('SUCCESS')],
  moves: [enqueued, started, move(2_000, 'STARTED', 'SUCCESS', { attempt: 1 })],
  effects: [effect(1_001, 'began'), effect(1_999, 'ended')],
};

function check(history: Partial<History>) {
  return checkHistory({
    rows: [],
    moves: [],
    effects: [],
    deaths: [],
    freezes: [],
    outages: [],
    revocations: new Set(),
    limits: { Quick: { maximumAttempts: 1, crashRetries: 1 } },
    workerTtlMs: 1_000,
    stuckAfterMs: 5_000,
    now: 100_000,
    ...history,
  });
}
const broken = (history: Partial<History>) => [...new Set(check(history).violations.map(({ rule }) => rule))];

it('has nothing against a job that runs once', () => {
  expect(check(good)).toEqual({ violations: [], duplicates: 0 });
});

it('has nothing against a job that is tried again after a crash, and counts what it did twice', () => {
  const history = {
    ...good,
    rows: [row('SUCCESS', { attempt: 2, crashes: 1 })],
    moves: [
      enqueued,
      started,
      move(4_000, 'STARTED', 'STARTED', { ...by(8, 2), crashes: 1 }),
      move(5_000, 'STARTED', 'SUCCESS', { attempt: 2, crashes: 1 }),
    ],
    effects: [
      effect(1_001, 'began'),
      effect(1_999, 'ended'),
      effect(4_001, 'began', { pid: 8, attempt: 2 }),
      effect(4_999, 'ended', { pid: 8, attempt: 2 }),
    ],
  };
  expect(check({ ...history, deaths: [{ pid: 7, at: 2_000 }] })).toEqual({ violations: [], duplicates: 1 });
  expect(broken(history)).toEqual(['a crash is that of a process that died']);
});

it('finds a job that is not settled', () => {
  expect(broken({ rows: [row('PENDING')], moves: [enqueued] })).toEqual(['no job is lost']);
  expect(broken({ rows: [row('NEW')], moves: [move(0, null, 'NEW')] })).toEqual([]);
});

it('finds a move that the lifecycle refuses', () => {
  const moves = [...good.moves, move(3_000, 'SUCCESS', 'PENDING', { run: 2 }), move(4_000, 'PENDING', 'REVOKED', { run: 2 })];
  expect(broken({ ...good, rows: [row('REVOKED', { run: 2 })], moves, revocations: new Set(['a']) })).toEqual([
    'only moves of the lifecycle',
    'SUCCESS is for ever',
  ]);
});

it('finds a row that goes back to an older run or attempt', () => {
  const moves = [enqueued, { ...started, attempt: 2 }, started, good.moves[2]!];
  expect(broken({ ...good, moves })).toEqual(['the order key never goes back']);
});

it('finds two ends of one run', () => {
  const moves = [...good.moves, move(3_000, 'SUCCESS', 'FAILURE', { attempt: 1 })];
  expect(broken({ ...good, moves, effects: [...good.effects, effect(2_500, 'failed')] })).toContain('one settled status a run');
});

it('finds a SUCCESS that no handler reached, or without its result', () => {
  expect(broken({ ...good, effects: [effect(1_001, 'began'), effect(1_999, 'stopped')] })).toEqual([
    'a SUCCESS has a handler that ended, and its result',
  ]);
  expect(broken({ ...good, rows: [row('SUCCESS', { note: null })] })).toEqual(['a SUCCESS has a handler that ended, and its result']);
});

it('finds a page that no attempt read', () => {
  const pages = ['1', '3'].map((detail) => effect(1_500, 'page', { detail }));
  expect(broken({ ...good, effects: [...good.effects, ...pages] })).toEqual(['no page is skipped']);
});

it('finds a handler that began although the row was not started for it', () => {
  const moves = [enqueued, move(1_000, 'PENDING', 'REVOKED')];
  const effects = [effect(1_001, 'began'), effect(1_002, 'stopped')];
  expect(broken({ rows: [row('REVOKED')], moves, effects, revocations: new Set(['a']) })).toEqual([
    'a handler begins only when the row was started for it',
  ]);
});

it('finds two handlers at once, but not the end of one that was stopped from outside for too long', () => {
  const history = {
    rows: [row('SUCCESS', { attempt: 2, crashes: 1 })],
    moves: [
      enqueued,
      started,
      move(4_000, 'STARTED', 'STARTED', { ...by(8, 2), crashes: 1 }),
      move(5_000, 'STARTED', 'SUCCESS', { attempt: 2 }),
    ],
    effects: [
      effect(1_001, 'began'),
      effect(4_001, 'began', { pid: 8, attempt: 2 }),
      effect(4_500, 'stopped'),
      effect(4_999, 'ended', { pid: 8, attempt: 2 }),
    ],
  };
  expect(broken(history)).toEqual(['never two handlers at once', 'a crash is that of a process that died']);
  expect(broken({ ...history, freezes: [{ pid: 7, from: 1_500, to: 4_400 }] })).toEqual([]);
  expect(broken({ ...history, freezes: [{ pid: 7, from: 950, to: 4_400 }] })).toEqual([]);
  expect(broken({ ...history, freezes: [{ pid: 7, from: 300, to: 1_100 }] })).toContain('never two handlers at once');
});

it('finds a FAILURE without errors, crashes or a time limit', () => {
  const history = {
    rows: [row('FAILURE')],
    moves: [enqueued, started, move(2_000, 'STARTED', 'FAILURE', { attempt: 1 })],
    effects: [effect(1_001, 'began'), effect(1_999, 'stopped')],
  };
  expect(broken(history)).toEqual(['FAILURE needs a reason']);
  expect(broken({ ...history, limits: { Quick: { maximumAttempts: 1, crashRetries: 1, timeLimit: true } } })).toEqual([]);
  expect(broken({ ...history, effects: [effect(1_001, 'began'), effect(1_999, 'failed')] })).toEqual([]);
  const crashed = history.moves.with(2, move(2_000, 'STARTED', 'FAILURE', { attempt: 1, crashes: 2 }));
  expect(broken({ ...history, moves: crashed, deaths: [{ pid: 7, at: 1_500 }] })).toEqual([]);
});

it('counts failures anew after a retry, and only those of handlers', () => {
  const moves = [enqueued, started, move(2_000, 'STARTED', 'FAILURE', { attempt: 1, failures: 1 })];
  const effects = [effect(1_001, 'began'), effect(1_999, 'failed')];
  const again = [
    move(3_000, 'FAILURE', 'PENDING', { run: 2 }),
    move(4_000, 'PENDING', 'STARTED', { ...by(7), run: 2 }),
    move(5_000, 'STARTED', 'FAILURE', { run: 2, attempt: 1, failures: 1 }),
  ];
  const stopped = [effect(4_001, 'began', { run: 2 }), effect(4_999, 'stopped', { run: 2 })];
  expect(broken({ rows: [row('FAILURE', { failures: 1 })], moves, effects })).toEqual([]);
  expect(
    broken({ rows: [row('FAILURE', { run: 2, failures: 1 })], moves: [...moves, ...again], effects: [...effects, ...stopped] }),
  ).toEqual(['a failure is that of a handler', 'FAILURE needs a reason']);
});

it('finds a revocation that nobody asked for', () => {
  const history = { rows: [row('REVOKED')], moves: [enqueued, move(1, 'PENDING', 'REVOKED')] };
  expect(broken(history)).toEqual(['REVOKED was asked for']);
  expect(broken({ ...history, revocations: new Set(['a']) })).toEqual([]);
});

it('finds a row that is STARTED for long after its attempt ended, unless a server was away', () => {
  const late = { ...good, moves: good.moves.with(2, move(20_000, 'STARTED', 'SUCCESS', { attempt: 1 })) };
  expect(broken(late)).toEqual(['no row is STARTED for long without an attempt']);
  expect(broken({ ...late, outages: [{ server: 'postgres', from: 1_900, to: 19_000, lost: false }] })).toEqual([]);
});

it('finds a handler that ran for a row that does not exist', () => {
  expect(broken({ effects: [effect(1, 'began')] })).toEqual(['a handler runs only for a row']);
});
