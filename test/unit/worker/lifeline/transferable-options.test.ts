import { Pool } from 'pg';
import { expect, it } from 'vitest';
import { transferableOptions } from '../../../../src/worker/lifeline/transferable-options.ts';

it('takes what makes a connection, the password included, and nothing else', () => {
  const pool = new Pool({ host: 'db', user: 'me', password: 'secret', ssl: { ca: 'x' }, onConnect: () => undefined, log: () => undefined });
  expect(transferableOptions(pool)).toEqual({
    options: { host: 'db', user: 'me', password: 'secret', ssl: { ca: 'x' } },
    obstacle: null,
  });
});

it.each([
  ["'password' is a function", { password: () => 'changing' }],
  ["'stream' is a function", { stream: () => undefined as never }],
  ["'ssl.checkServerIdentity' is a function", { ssl: { checkServerIdentity: () => undefined } }],
])('gives nothing when %s', (obstacle, options) => {
  expect(transferableOptions(new Pool(options))).toEqual({ options: null, obstacle });
});
