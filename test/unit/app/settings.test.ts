import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { readSettings, SETTING_NAMES, SETTINGS } from '../../../src/app/settings.ts';

describe('readSettings', () => {
  it('has a default for every setting', () => {
    const { sources, ...values } = readSettings({});
    expect(values).toEqual({
      engine: 'workflow',
      databaseUrl: null,
      logLevel: 'info',
      logFormat: 'auto',
      queues: ['default'],
      concurrency: availableParallelism(),
      processes: 1,
      drainTimeoutMs: 30_000,
      workerTtlMs: 15_000,
      probePort: null,
      relayIntervalMs: 1_000,
      reconcileIntervalMs: 5_000,
      listen: true,
      lanesWithoutTemporal: false,
      workflowSandbox: false,
      appFile: null,
    });
    expect(new Set(Object.values(sources))).toEqual(new Set(['default']));
  });

  it('reads the environment', () => {
    const settings = readSettings({
      ASYNCJOB_ENGINE: 'inline',
      DATABASE_URL: 'postgres://me:secret@db/jobs',
      ASYNCJOB_LOG_LEVEL: 'Warning',
      ASYNCJOB_QUEUES: 'mail, billing,mail',
      ASYNCJOB_CONCURRENCY: '10',
      ASYNCJOB_DRAIN_TIMEOUT: '2 minutes',
      ASYNCJOB_WORKER_TTL: '5s',
      ASYNCJOB_LISTEN: 'False',
      ASYNCJOB_APP: 'app.ts',
    });
    expect(settings).toMatchObject({
      engine: 'inline',
      databaseUrl: 'postgres://me:secret@db/jobs',
      logLevel: 'warn',
      queues: ['mail', 'billing'],
      concurrency: 10,
      drainTimeoutMs: 120_000,
      workerTtlMs: 5_000,
      listen: false,
      appFile: 'app.ts',
    });
    expect(settings.sources).toMatchObject({ engine: 'environment', concurrency: 'environment', relayIntervalMs: 'default' });
  });

  it('prefers options to the environment, that to the configuration, that to the default', () => {
    const env = { ASYNCJOB_ENGINE: 'workflow', ASYNCJOB_CONCURRENCY: '10' };
    const settings = readSettings(env, { concurrency: '3', queues: ['a', 'b,c'] }, { engine: 'inline', drainTimeoutMs: '1s' });
    expect(settings).toMatchObject({ engine: 'workflow', concurrency: 3, queues: ['a', 'b', 'c'], drainTimeoutMs: 1_000 });
    expect(settings.sources).toMatchObject({
      engine: 'environment',
      concurrency: 'option',
      drainTimeoutMs: 'config',
      workerTtlMs: 'default',
    });
  });

  it('takes an empty variable for not set', () => {
    expect(readSettings({ ASYNCJOB_CONCURRENCY: ' ', ASYNCJOB_QUEUES: '' })).toMatchObject({
      queues: ['default'],
      sources: { concurrency: 'default' },
    });
  });

  it.each([
    ['critical', 'fatal'],
    ['WARNING', 'warn'],
    ['debug', 'debug'],
  ])("understands Celery's level %s", (word, level) => {
    expect(readSettings({}, { logLevel: word }).logLevel).toBe(level);
  });

  it('lists every problem at once', () => {
    const act = () =>
      readSettings(
        {
          ASYNCJOB_ENGINE: 'workflows',
          ASYNCJOB_CONCURENCY: '5',
          ASYNCJOB_WORKER_TTL: '10ms',
          ASYNCJOB_QUEUES: 'a,,b',
          ASYNCJOB_OF_MY_OWN: '1',
        },
        { concurrency: '1.5', logLevel: 'loud', drainTimeoutMs: '30' },
      );
    expect(act).toThrow(expect.objectContaining({ code: 'settings.invalid' }));
    expect(act).toThrow(/^settings\.invalid: settings, 7 problems:\n/);
    expect(act).toThrow('ASYNCJOB_CONCURENCY is unknown; did you mean ASYNCJOB_CONCURRENCY?');
    expect(act).toThrow("ASYNCJOB_ENGINE: 'workflows' is unknown; did you mean 'workflow'?");
    expect(act).toThrow("ASYNCJOB_QUEUES: 'a,,b' has an empty queue name in it");
    expect(act).toThrow("ASYNCJOB_WORKER_TTL: '10ms' is less than 1s");
    expect(act).toThrow("--concurrency: '1.5' is no whole number from 1 on");
    expect(act).toThrow("--log-level: 'loud' is unknown; there are trace, ");
    expect(act).toThrow("--drain-timeout: '30' is no duration (the unit is missing)");
  });

  it('gives no two settings one variable', () => {
    expect(new Set(SETTING_NAMES.map((name) => SETTINGS[name].env)).size).toBe(SETTING_NAMES.length);
  });
});
