import { expect, it } from 'vitest';
import { describeBlock } from '../../../../src/worker/lifeline/describe-block.ts';

const ref = (id: string) => ({ jobType: 'Report', id, run: 1, attempt: 2, runId: 'r' });

const code = (by: ReturnType<typeof ref> | null, at: string) => ({ kind: 'code' as const, ref: by, at: [at] });
const unknown = { kind: 'unknown' as const };
const NOT_FOUND = '; by whom could not be found out (as for a native call, such as execFileSync)';

it.each([
  ['the job that was found, and where', code(ref('a'), 'spin (x.ts:3)'), [ref('a'), ref('b')], 'by Report a in spin (x.ts:3)'],
  ['code that is no job', code(null, 'sweep (y.ts:1)'), [ref('a')], 'by code outside of jobs in sweep (y.ts:1)'],
  ['a debugger', { kind: 'debugger' as const }, [ref('a')], 'by a debugger that has paused it'],
  ['nobody as guilty who was not found', unknown, [ref('a'), ref('b')], `while Report a, Report b run${NOT_FOUND}`],
  ['not even the only one', unknown, [ref('a')], `while Report a runs${NOT_FOUND}`],
  ['nobody', unknown, [], `while no job runs${NOT_FOUND}`],
])('names %s', (_, blocking, atWork, by) => {
  expect(describeBlock(blocking, atWork).by).toBe(by);
});
