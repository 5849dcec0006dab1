import { expect, it } from 'vitest';
import { readSettings } from '../../../src/app/settings.ts';
import { settingFacts, temporalSettingFacts, withoutPassword } from '../../../src/inspect/setting-facts.ts';
import { resolveTemporal } from '../../../src/temporal/connection.ts';

it('says where each setting came from', () => {
  const env = { DATABASE_URL: 'postgres://me:s3cret@db:5433/shop?sslpassword=s3cret', ASYNCJOB_QUEUES: 'a,b' };
  const facts = settingFacts(readSettings(env, { logLevel: 'debug' }, { engine: 'inline' }), true);
  const found = Object.fromEntries(facts.map(({ name, value, source }) => [name, `${value} (${source})`]));
  expect(found).toMatchObject({
    engine: 'inline (config)',
    databaseUrl: 'postgres://me:***@db:5433/shop (environment)',
    logLevel: 'debug (option)',
    queues: 'a, b (environment)',
    workerTtlMs: '15 s (default)',
    appFile: '(not set) (default)',
  });
  expect(JSON.stringify(facts)).not.toContain('s3cret');
});

it('says when DATABASE_URL is set in vain', () => {
  const settings = readSettings({ DATABASE_URL: 'postgres://db/shop' });
  expect(settingFacts(settings, false).find(({ name }) => name === 'databaseUrl')).toMatchObject({
    note: expect.stringContaining('not used') as string,
  });
  expect(settingFacts(settings, true).find(({ name }) => name === 'databaseUrl')).not.toHaveProperty('note');
});

it.each([
  ['postgres://db/shop', 'postgres://db/shop'],
  ['postgres://me@db/shop', 'postgres://me@db/shop'],
  ['host=db password=s3cret', '(hidden: it is no address)'],
])('hides what is secret in %s', (url, shown) => expect(withoutPassword(url)).toBe(shown));

it('says where Temporal’s settings came from, and never the key', () => {
  const env = { TEMPORAL_ADDRESS: 'env:7233', TEMPORAL_API_KEY: 's3cret' };
  const config = { orm: {}, temporal: { namespace: 'shop' } };
  const facts = temporalSettingFacts(config, resolveTemporal(config.temporal, env), env);
  expect(facts.map(({ name, value, source }) => `${name} ${value} ${source}`)).toEqual([
    'temporal.address env:7233 environment',
    'temporal.namespace shop config',
    'temporal.tls on default',
    'temporal.apiKey (set, hidden) environment',
  ]);
  expect(JSON.stringify(facts)).not.toContain('s3cret');
});
