import { expect, it } from 'vitest';
import { describeBlock } from '../../../../src/worker/lifeline/describe-block.ts';

const ref = (id: string) => ({ jobType: 'Report', id, run: 1, attempt: 2, runId: 'r' });

it.each([
  ['the job that was found, and where', { ref: ref('a'), at: ['spin (x.ts:3)'] }, [ref('a'), ref('b')], 'by Report a in spin (x.ts:3)'],
  ['code that is no job', { ref: null, at: ['sweep (y.ts:1)'] }, [ref('a')], 'by code outside of jobs in sweep (y.ts:1)'],
  ['everybody when it could not be found', null, [ref('a'), ref('b')], 'by one of Report a, Report b'],
  ['the only one', null, [ref('a')], 'by Report a'],
  ['nobody', null, [], 'while no job runs'],
])('names %s', (_, blocking, atWork, by) => {
  expect(describeBlock(blocking, atWork).by).toBe(by);
});
