import { Pool } from 'pg';
import { expect, it } from 'vitest';
import { transferableOptions } from '../../../../src/worker/lifeline/transferable-options.ts';

it('takes what makes a connection, the password included, and nothing else', () => {
  const pool = new Pool({ host: 'db', user: 'me', password: 'secret', ssl: { ca: 'x' }, onConnect: () => undefined, log: () => undefined });
  expect(transferableOptions(pool)).toEqual({ host: 'db', user: 'me', password: 'secret', ssl: { ca: 'x' } });
});

it.each([
  ['a password function', { password: () => 'changing' }],
  ['a stream', { stream: () => undefined as never }],
  ['a check of the server', { ssl: { checkServerIdentity: () => undefined } }],
])('gives nothing when there is %s', (_, options) => {
  expect(transferableOptions(new Pool(options))).toBeNull();
});
