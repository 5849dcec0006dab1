import { describe, expect, it } from 'vitest';
import { RunningJobs } from '../../../../src/worker/lifeline/running-jobs.ts';

const ref = (id: string) => ({ jobType: 'Report', id, run: 1, attempt: 1, runId: 'r' });

it('lists jobs before their handlers are at work', () => {
  const jobs = new RunningJobs();
  jobs.hear({ kind: 'listed', jobId: 'a' }, 0);
  jobs.hear({ kind: 'listed', jobId: 'b' }, 0);
  jobs.hear({ kind: 'began', ref: ref('a'), runTimeoutMs: null }, 0);
  expect([jobs.listed, jobs.atWork]).toEqual([['a', 'b'], [ref('a')]]);
  jobs.hear({ kind: 'ended', ref: ref('a') }, 1);
  jobs.hear({ kind: 'unlisted', jobId: 'a' }, 1);
  expect([jobs.listed, jobs.atWork]).toEqual([['b'], []]);
});

it('an attempt is overdue 5 s after its runTimeout, if the loop was blocked for those 5 s', () => {
  const jobs = new RunningJobs();
  jobs.hear({ kind: 'began', ref: ref('limited'), runTimeoutMs: 2_000 }, 1_000);
  jobs.hear({ kind: 'began', ref: ref('endless'), runTimeoutMs: null }, 0);
  expect(jobs.overdue(8_000, 7_000)).toEqual([]);
  expect(jobs.overdue(8_001, 7_000)).toEqual([ref('limited')]);
  expect(jobs.overdue(8_001, 4_999)).toEqual([]);
  jobs.hear({ kind: 'ended', ref: ref('limited') }, 8_002);
  expect(jobs.overdue(9_000_000, 9_000_000)).toEqual([]);
});

describe('the process is to be ended', () => {
  const code = (by: ReturnType<typeof ref> | null) => ({ kind: 'code' as const, ref: by, at: [] });
  /** Both began long before the block: `a` has a runTimeout of 2 s, `b` the one that is given. */
  const begun = (runTimeoutMs: number | null) => {
    const jobs = new RunningJobs();
    jobs.hear({ kind: 'began', ref: ref('a'), runTimeoutMs: 2_000 }, 0);
    jobs.hear({ kind: 'began', ref: ref('b'), runTimeoutMs }, 0);
    return jobs;
  };

  it('for the overdue attempt that blocks it, and for no other', () => {
    const jobs = begun(null);
    expect(jobs.toBeEnded(code(ref('a')), 60_000, 6_000)).toEqual([ref('a')]);
    expect(jobs.toBeEnded(code(ref('b')), 60_000, 6_000)).toEqual([]);
    expect(jobs.toBeEnded(code(null), 60_000, 6_000)).toEqual([]);
    expect(jobs.toBeEnded({ kind: 'debugger' }, 60_000, 60_000)).toEqual([]);
  });

  it('when the guilty one is unknown only once the block alone exceeds the time limits of all at work', () => {
    const unknown = { kind: 'unknown' as const };
    expect(begun(null).toBeEnded(unknown, 600_000, 600_000)).toEqual([]);
    expect(begun(20_000).toBeEnded(unknown, 600_000, 25_000)).toEqual([]);
    expect(begun(20_000).toBeEnded(unknown, 600_000, 25_001)).toEqual([ref('a'), ref('b')]);
    expect(new RunningJobs().toBeEnded(unknown, 600_000, 600_000)).toEqual([]);
  });
});
