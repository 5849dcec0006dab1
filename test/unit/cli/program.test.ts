import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../../src/app/config.ts';
import { createLog } from '../../../src/app/log.ts';
import type { CliDeps } from '../../../src/cli/cli-deps.ts';
import { runCli } from '../../../src/cli/program.ts';
import { AsyncJobError } from '../../../src/domain/errors.ts';
import type { JobClass } from '../../../src/entity/job-types.ts';

/** A world in which everything works, and what was done in it. */
function world(given: Partial<CliDeps> & { config?: Config; handlers?: JobClass[]; run?: () => Promise<void> } = {}) {
  const {
    config = { orm: {} },
    handlers = [jobClass('SendMail', 'mail'), jobClass('Report', 'default')],
    run = async () => {},
    ...deps
  } = given;
  const seen = { out: '', err: '', log: '', steps: [] as string[], calls: {} as Record<string, any> };
  const call = (name: string, options: unknown) => {
    seen.steps.push(name);
    seen.calls[name] = options;
  };
  const destination = new Writable({ write: (chunk, _, done) => ((seen.log += String(chunk)), done()) });
  const all: CliDeps = {
    version: '1.2.3',
    cwd: '/srv/shop',
    env: {},
    argv: ['main.js'],
    write: { out: (text) => void (seen.out += text), err: (text) => void (seen.err += text) },
    loadConfig: async (options) => {
      call('loadConfig', options);
      return { config, file: '/srv/shop/asyncjob.config.ts', folder: '/srv/shop', extension: 'ts' };
    },
    createLog: (level, options) => {
      call('createLog', { level, ...options });
      return createLog(level, { format: 'json', destination });
    },
    connect: async (connected, options) => {
      call('connect', { config: connected, ...options });
      return {
        name: connected.name ?? '',
        prepare: async () => {},
        handlers: new Map(handlers.map((handler) => [handler, {}])),
        orm: {
          em: {
            getConnection: () => ({
              getConnectionOptions: () => ({ host: 'db', port: 5433, user: 'me', password: 's3cret', database: 'shop' }),
            }),
          },
        } as never,
        worker: async (worker) => {
          call('worker', worker);
          return { run: async () => (call('run', {}), run()), [Symbol.asyncDispose]: async () => call('dispose', {}) };
        },
        close: async () => call('close', {}),
      };
    },
    temporalTarget: async () => ({ address: 'temporal:7233', namespace: 'shops' }),
    ...deps,
  };
  return { seen, run: (...args: string[]) => runCli(args, all) };
}

function jobClass(jobType: string, defaultQueue: string): JobClass {
  return { name: jobType, jobType, defaultQueue, options: {} } as unknown as JobClass;
}

describe('asyncjob worker', () => {
  it('runs a worker and closes the application after it', async () => {
    const { seen, run } = world();
    expect(await run('worker')).toBe(0);
    expect(seen.steps).toEqual(['loadConfig', 'createLog', 'connect', 'worker', 'run', 'dispose', 'close']);
    expect(seen.calls['worker']).toMatchObject({ queues: ['default'], wait: true, drainTimeoutMs: 30_000 });
    expect(seen.calls['connect']).toMatchObject({
      handlersFolder: { folder: '/srv/shop', extension: 'ts' },
      wait: true,
      settings: { engine: 'workflow' },
    });
    expect(seen.calls['loadConfig']).toEqual({ file: undefined, cwd: '/srv/shop' });
  });

  it.each([
    [['--queue=a,b']],
    [['--queue', 'a', '--queue', 'b']],
    [['--queue=a', '-Q', 'b']],
    [['-Q', 'a,b']],
    [['-Qa,b']],
    [['--queue', 'a', 'b']],
    [['-Q', 'a', '-Q', 'b,a']],
  ])('serves queues a and b with %j', async (args) => {
    const { seen, run } = world();
    expect(await run('worker', ...args)).toBe(0);
    expect(seen.calls['worker'].queues).toEqual(['a', 'b']);
  });

  it.each([
    [['worker', '-A', 'app.ts', '-l', 'debug', '-c', '4']],
    [['-A', 'app.ts', '-l', 'debug', 'worker', '-c', '4']],
    [['worker', '--app=app.ts', '--loglevel=DEBUG', '--concurrency=4']],
    [['worker', '--app', 'app.ts', '--log-level', 'debug', '--concurrency', '4']],
  ])('understands %j', async (args) => {
    const { seen, run } = world();
    expect(await run(...args)).toBe(0);
    expect(seen.calls['loadConfig'].file).toBe('app.ts');
    expect(seen.calls['createLog'].level).toBe('debug');
    expect(seen.calls['worker'].concurrency).toBe(4);
  });

  it('reads the rest of the options', async () => {
    const { seen, run } = world();
    expect(await run('worker', '--no-wait', '--drain-timeout', '2 minutes')).toBe(0);
    expect(seen.calls['worker']).toMatchObject({ wait: false, drainTimeoutMs: 120_000 });
    expect(seen.calls['connect'].wait).toBe(false);
  });

  it.each([
    [undefined, '9100', 9_100],
    ['1', '9100', 9_100],
    ['3', '9100', 9_102],
    ['3', '0', 0],
    ['3', undefined, null],
  ])('gives process %s of --probe-port %s port %s', async (child, port, expected) => {
    const { seen, run } = world({ env: { ASYNCJOB_CHILD: child } });
    expect(await run('worker', ...(port === undefined ? [] : ['--probe-port', port]))).toBe(0);
    expect(seen.calls['worker'].probePort).toBe(expected);
  });

  it('lets options win over the environment, and that over the configuration', async () => {
    const { seen, run } = world({
      env: { ASYNCJOB_QUEUES: 'a', ASYNCJOB_CONCURRENCY: '2', ASYNCJOB_APP: 'env.ts' },
      config: { orm: {}, engine: 'inline' },
    });
    expect(await run('worker', '-c', '3')).toBe(0);
    expect(seen.calls['worker']).toMatchObject({ queues: ['a'], concurrency: 3 });
    expect(seen.calls['loadConfig'].file).toBe('env.ts');
    expect(seen.calls['connect'].settings.engine).toBe('inline');
  });

  it('says what it serves and whom it talks to, without a password', async () => {
    const { seen, run } = world({ config: { name: 'shop', orm: {} } });
    await run('worker', '-Q', 'mail', '-c', '3');
    expect(JSON.parse(seen.log.trim())).toMatchObject({
      msg: 'asyncjob 1.2.3: worker starts',
      application: 'shop',
      queues: 'mail',
      concurrency: 3,
      handlers: { mail: 'SendMail', default: 'Report' },
      temporal: 'temporal:7233, namespace shops',
      database: 'db:5433/shop',
    });
    expect(seen.log).not.toContain('s3cret');
  });

  it('warns when there is no handler, or none for a queue', async () => {
    const without = world({ handlers: [] });
    await without.run('worker');
    expect(without.seen.log).toContain('no handler was found');
    const misspelled = world();
    await misspelled.run('worker', '-Q', 'mial,mail');
    expect(misspelled.seen.log).toContain('"queues":["mial"]');
  });

  it('closes the application when the worker fails', async () => {
    const { seen, run } = world({
      run: async () => Promise.reject(new AsyncJobError('temporal.unavailable', 'temporal:7233 does not answer')),
    });
    expect(await run('worker')).toBe(1);
    expect(seen.steps.slice(-2)).toEqual(['dispose', 'close']);
    expect(seen.err).toBe('error: temporal.unavailable: temporal:7233 does not answer\n');
  });
});

describe('how a command line ends', () => {
  it.each([
    [['--version'], '1.2.3\n'],
    [['--help'], 'Usage: asyncjob'],
    [['worker', '--help'], '--app <file>'],
  ])('%j is no error', async (args, text) => {
    const { seen, run } = world();
    expect(await run(...args)).toBe(0);
    expect(seen.out).toContain(text);
    expect(seen.steps).toEqual([]);
  });

  it.each([
    [['wroker'], "unknown command 'wroker'"],
    [['worker', '--queues', 'a'], "unknown option '--queues'"],
    [['worker', 'mail'], 'too many arguments'],
    [['worker', '-c'], 'argument missing'],
    [['worker', '-c', 'many', '-l', 'loud'], '2 problems'],
  ])('%j is wrong usage', async (args, text) => {
    const { seen, run } = world();
    expect(await run(...args)).toBe(2);
    expect(seen.err).toContain(text);
    expect(seen.steps).toEqual([]);
  });

  it.each([
    ['config.not_found', 2],
    ['config.invalid', 2],
    ['settings.invalid', 2],
    ['config.load_failed', 1],
  ] as const)('%s ends with %i', async (code, exitCode) => {
    const { seen, run } = world({ loadConfig: async () => Promise.reject(new AsyncJobError(code, 'so it is')) });
    expect(await run('worker')).toBe(exitCode);
    expect(seen.err).toBe(`error: ${code}: so it is\n`);
  });

  it.each([
    [['worker', '-l', 'debug'], {}],
    [['worker'], { ASYNCJOB_LOG_LEVEL: 'debug' }],
  ])('shows stack and cause at log level debug (%j, %j)', async (args, env) => {
    const error = new AsyncJobError('config.load_failed', 'so it is', { cause: new TypeError('inner') });
    const { seen, run } = world({ env, loadConfig: async () => Promise.reject(error) });
    await run(...args);
    expect(seen.err).toContain('    at ');
    expect(seen.err).toContain('TypeError: inner');
  });

  it('shows the stack of an error that is not ours', async () => {
    const { seen, run } = world({ loadConfig: async () => Promise.reject(new TypeError('bug')) });
    expect(await run('worker')).toBe(1);
    expect(seen.err).toMatch(/^error: TypeError: bug\n {4}at /);
  });
});
