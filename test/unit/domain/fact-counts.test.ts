import { expect, it } from 'vitest';
import { FactCounts } from '../../../src/domain/fact-counts.ts';

it('counts facts by what became of them, and tells of stale ones', () => {
  const stale: string[] = [];
  const facts = new FactCounts((fact, { jobType, id }) => stale.push(`${fact} ${jobType} ${id}`));
  const ref = { jobType: 'Report', id: 'a' };
  expect(facts.count('started', ref, 'applied')).toBe('applied');
  facts.count('started', ref, 'applied');
  facts.count('progress', ref, 'stale');
  expect(facts.all()).toEqual([
    { fact: 'started', result: 'applied', count: 2 },
    { fact: 'progress', result: 'stale', count: 1 },
  ]);
  expect(stale).toEqual(['progress Report a']);
});
