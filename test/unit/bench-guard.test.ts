// The guard of the benchmark: what it lets pass, and what not.
import { expect, it } from 'vitest';
import { costComplaints } from '../bench/guard.ts';
import type { Costs } from '../bench/measure/costs.ts';
import type { Result } from '../bench/result.ts';
import kept from '../bench/costs.json' with { type: 'json' };

const { statements, rpcs, temporalBytes } = kept['asyncjob/each'].oneByOne;

function measured(changes: Partial<Costs>): Result[] {
  const oneByOne: Costs = {
    statements,
    rpcs,
    temporalBytes,
    actions: 2,
    temporalStoreCalls: 9,
    polls: 2,
    statementsByText: { 'insert into job': 1 },
    rpcsByName: {},
    ...changes,
  };
  return [{ scenario: 'at-once', contestant: 'asyncjob/each', round: 1, n: 20, costs: { oneByOne } }];
}

it('lets pass what is kept, and what is less', async () => {
  expect(await costComplaints(measured({}))).toEqual([]);
  expect(await costComplaints(measured({ statements: statements - 1 }))).toEqual([]);
});

it.each([
  ['statements', { statements: statements + 1 }],
  ['rpcs', { rpcs: rpcs + 1 }],
  ['temporalBytes', { temporalBytes: temporalBytes * 1.1 }],
])('complains of more %s per job, with what there is of them', async (name, changes) => {
  const [complaint, ...others] = await costComplaints(measured(changes));
  expect(others).toEqual([]);
  expect(complaint).toContain(`${name} per job`);
  expect(complaint).toContain('insert into job');
});

it('complains of a contestant that is not in the file', async () => {
  const [result] = measured({});
  expect(await costComplaints([{ ...result!, contestant: 'asyncjob/new' }])).toHaveLength(3);
});
