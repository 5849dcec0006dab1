// Writes that go together, and those that must not wait for each other.
import { describe, expect, it } from 'vitest';
import { Coalescer } from '../../src/mirror/coalescer.ts';
import { until } from '../support/until.ts';

/** Writes that end when they are told to. */
function writesByHand() {
  const writes: { items: string[]; ends(): void; fails(error: Error): void }[] = [];
  const write = (items: string[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<PromiseSettledResult<string>[]>();
    const ends = () => resolve(items.map((item) => ({ status: 'fulfilled', value: `${item}!` })));
    writes.push({ items, ends, fails: reject });
    return promise;
  };
  return { writes, write };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('a coalescer', () => {
  it('writes together what comes at the same time, and what comes during a write', async () => {
    const { writes, write } = writesByHand();
    const coalescer = new Coalescer(write, 2);
    const first = ['a', 'b', 'c'].map((item) => coalescer.add(item));
    await until(() => writes.length === 1);
    expect(writes.map(({ items }) => items)).toEqual([['a', 'b']]);
    first.push(coalescer.add('d'));
    writes[0]!.ends();
    await until(() => writes.length === 2);
    expect(writes.map(({ items }) => items)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    writes[1]!.ends();
    expect(await Promise.all(first)).toEqual(['a!', 'b!', 'c!', 'd!']);
  });

  it('leaves a write that does not end to itself, and goes on with the others', async () => {
    const { writes, write } = writesByHand();
    const coalescer = new Coalescer(write, 10);
    const stuck = coalescer.add('stuck');
    await until(() => writes.length === 1);
    const during = coalescer.add('during');
    await until(() => writes.length === 2);
    expect(writes.map(({ items }) => items)).toEqual([['stuck'], ['during']]);
    const also = coalescer.add('also');
    writes[1]!.ends();
    expect(await during).toBe('during!');
    await until(() => writes.length === 3);
    writes[2]!.ends();
    expect(await also).toBe('also!');
    const later = coalescer.add('later');
    writes[0]!.fails(new Error('at last'));
    await expect(stuck).rejects.toThrow('at last');
    await until(() => writes.length === 4);
    writes[3]!.ends();
    expect(await later).toBe('later!');
    expect(writes).toHaveLength(4);
  });

  it('does the same when nobody came during the slow write, but after it', async () => {
    const { writes, write } = writesByHand();
    const coalescer = new Coalescer(write, 10);
    void coalescer.add('stuck');
    await pause(300);
    const later = coalescer.add('later');
    await until(() => writes.length === 2);
    writes[1]!.ends();
    expect(await later).toBe('later!');
  });
});
