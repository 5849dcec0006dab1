import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { resolveTemporal } from '../../src/temporal/connection.ts';

const noFile = { TEMPORAL_CONFIG_FILE: '/nonexistent/temporal.toml' };

it("falls back to Temporal's own defaults", () => {
  expect(resolveTemporal({}, noFile)).toEqual({
    address: 'localhost:7233',
    namespace: 'default',
    connectionOptions: { address: 'localhost:7233' },
    dataConverter: undefined,
  });
});

it('takes the configuration before the environment, and the environment before the profile file', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'profile-'));
  try {
    const file = path.join(folder, 'temporal.toml');
    await writeFile(file, '[profile.default]\naddress = "file:1"\nnamespace = "file"\napi_key = "file-key"\n');
    const env = { TEMPORAL_CONFIG_FILE: file, TEMPORAL_NAMESPACE: 'env', TEMPORAL_ADDRESS: 'env:2' };
    expect(resolveTemporal({ address: 'config:3' }, env)).toMatchObject({
      address: 'config:3',
      namespace: 'env',
      connectionOptions: { address: 'config:3', apiKey: 'file-key', tls: true },
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('turns TLS on for an API key, unless told otherwise', () => {
  expect(resolveTemporal({ apiKey: 'k' }, noFile).connectionOptions).toMatchObject({ apiKey: 'k', tls: true });
  expect(resolveTemporal({ apiKey: 'k', tls: false }, noFile).connectionOptions).toMatchObject({ tls: false });
});

it('says which settings cannot be read', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'profile-'));
  try {
    const file = path.join(folder, 'temporal.toml');
    await writeFile(file, 'no toml [');
    expect(() => resolveTemporal({}, { TEMPORAL_CONFIG_FILE: file })).toThrow(/^settings\.invalid: Temporal's settings/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
