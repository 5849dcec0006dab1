import { expect, it } from 'vitest';
import { find } from '../../../src/inspect/deadline.ts';

it('returns what is found', async () => expect(await find('x', async () => ({ a: 1 }))).toEqual({ a: 1 }));

it('returns why something was not found, with its code', async () => {
  const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }); // as Node says it for two addresses
  expect(await find('x', () => Promise.reject(refused))).toEqual({ error: { code: 'ECONNREFUSED', message: 'ECONNREFUSED' } });
  expect(await find('x', () => Promise.reject(new TypeError('no')))).toEqual({ error: { code: null, message: 'no' } });
});

it('does not wait for ever', async () => {
  expect(await find('the oracle', () => new Promise<object>(() => {}), 20)).toEqual({
    error: { code: null, message: 'the oracle: no answer within 0.02 s' },
  });
});
