// Every difference between a row and its execution, and what is done about it.
import { describe, expect, it } from 'vitest';
import type { WhenLost } from '../../src/domain/job-policy.ts';
import { STATUSES } from '../../src/domain/lifecycle.ts';
import type { Execution, ExecutionStatus, RunFacts } from '../../src/domain/ports.ts';
import { planLeftover, planRepair, type RepairKind } from '../../src/relay/plan-repairs.ts';
import { runFacts as row } from './support/run-facts.ts';

const ENDED: ExecutionStatus[] = ['completed', 'failed', 'timed_out', 'not_found'];
const by = (byThisLibrary: boolean): Execution => ({ status: 'terminated', end: { by: 'ann', reason: 'wrong data', byThisLibrary } });

describe('an open row and its execution', () => {
  const cases: [string, Partial<RunFacts>, Execution | ExecutionStatus, WhenLost, RepairKind | null][] = [
    ['waits, and executes', {}, 'running', 'rerun', null],
    ['runs, and executes', { status: 'STARTED', isHeld: true }, 'running', 'rerun', null],
    ['its worker is gone, and it executes: Temporal repeats it', { status: 'STARTED' }, 'running', 'rerun', null],
    ['shall be revoked, and executes', { status: 'STARTED', isHeld: true, revokeRequested: true }, 'running', 'rerun', 'cancel'],
    ['cancelled in Temporal', { status: 'STARTED', isHeld: true }, 'cancelled', 'rerun', 'revoke'],
    ['terminated in Temporal', { status: 'STARTED', isHeld: true }, by(false), 'rerun', 'revoke'],
    ['terminated by nobody known', {}, 'terminated', 'report', 'revoke'],
    ['terminated by this library, so the row is older', {}, by(true), 'rerun', 'next_run'],
    ['terminated by this library, and its worker lives', { status: 'STARTED', isHeld: true }, by(true), 'rerun', null],
    ...ENDED.flatMap((status): typeof cases => [
      [`${status}, waits`, {}, status, 'rerun', 'next_run'],
      [`${status}, its worker is gone`, { status: 'STARTED' }, status, 'rerun', 'next_run'],
      [`${status}, its worker lives`, { status: 'STARTED', isHeld: true }, status, 'rerun', null],
      [
        `${status}, its worker lives and revocation was asked for`,
        { status: 'STARTED', isHeld: true, revokeRequested: true },
        status,
        'rerun',
        null,
      ],
      [`${status}, revocation was asked for`, { status: 'STARTED', revokeRequested: true }, status, 'report', 'next_run'],
      [`${status}, may have begun, and is to be reported`, { status: 'STARTED' }, status, 'report', 'report'],
    ]),
    [
      'did not end within its time limit',
      { status: 'STARTED', isHeld: true },
      { status: 'timed_out', timeLimitMs: 1_000 },
      'report',
      'fail',
    ],
    ['waits, has not begun, and is to be reported: nothing is lost', {}, 'not_found', 'report', 'next_run'],
    ['waits, but was executed before, and is to be reported', {}, 'completed', 'report', 'report'],
  ];
  it.each(cases)('%s', (_, changes, execution, whenLost, kind) => {
    const plan = planRepair(row(changes), typeof execution === 'string' ? { status: execution } : execution, whenLost);
    expect(plan?.kind ?? null).toBe(kind);
  });

  it('a row that is not open is left alone, whatever its execution does', () => {
    const statuses: ExecutionStatus[] = [...ENDED, 'running', 'cancelled', 'terminated'];
    for (const status of STATUSES.filter((each) => each !== 'PENDING' && each !== 'STARTED'))
      for (const execution of statuses)
        expect(planRepair(row({ status, revokeRequested: true }), { status: execution }, 'rerun')).toBeNull();
  });

  it('says who terminated it, and why', () => {
    expect(planRepair(row(), by(false), 'rerun')?.why).toBe('its execution was terminated in Temporal by ann (wrong data)');
  });
});

describe('an execution that goes on', () => {
  const run = { jobType: 'MyJob', id: row().id, run: 2 };

  it('is left alone while its job is open, in an older run, or has no row', () => {
    expect(planLeftover(run, row())).toBeNull();
    expect(planLeftover(run, row({ run: 1, status: 'FAILURE', settledForMs: 1e9 }))).toBeNull();
    expect(planLeftover(run, undefined)).toBeNull();
  });

  it('is ended a minute after its job was settled or got a newer run', () => {
    expect(planLeftover(run, row({ status: 'REVOKED', settledForMs: 30_000 }))).toBeNull();
    expect(planLeftover(run, row({ status: 'REVOKED', settledForMs: 61_000 }))).toEqual({ kind: 'terminate', why: 'the job is REVOKED' });
    expect(planLeftover(run, row({ run: 3, enqueuedForMs: 30_000 }))).toBeNull();
    expect(planLeftover(run, row({ run: 3, enqueuedForMs: 61_000 }))?.kind).toBe('terminate');
  });
});
