// What a user sees on stderr when a worker cannot start because of what somebody wrote: one message, and no stack.
import { expect, it } from 'vitest';
import { fixture, runCli } from './support/cli.ts';

// Nothing listens there: these errors come before anybody connects.
const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing', TEMPORAL_ADDRESS: '127.0.0.1:1' };
const worker = (folder: string, ...args: string[]) => runCli(['worker', ...args], { env, cwd: fixture(folder) });

it('names a handlers module that throws while it is loaded, with its error', async () => {
  expect(await worker('throws-while-loading')).toEqual({
    code: 1,
    signal: null,
    stderr: `error: handler.load_failed: 1 of 2 handlers modules in ${fixture('throws-while-loading')} could not be loaded:
  handlers.js: TypeError: MAIL_KEY is not set
`,
  });
});

it('names the module that registers a second handler of a class', async () => {
  expect(await worker('two-handlers')).toEqual({
    code: 1,
    signal: null,
    stderr: `error: handler.load_failed: 1 of 2 handlers modules in ${fixture('two-handlers')} could not be loaded:
  second.handlers.js: AsyncJobError: handler.duplicate: 'Report' has a handler already. A job class has one; app.handle(Report, fn) replaces it for one application.
`,
  });
});

it('names a job class that has a handler but is not among the entities', async () => {
  expect(await worker('not-an-entity')).toEqual({
    code: 1,
    signal: null,
    stderr: `error: job.not_an_entity: 'Forgotten' has a handler, but is not among the entities of the ORM. Put it into jobs(…) in the MikroORM configuration: entities: [...jobs(Forgotten)].
`,
  });
});

it('lists all wrong options of all job classes at once', async () => {
  const { code, stderr } = await worker('wrong-options');
  expect(code).toBe(2);
  const [head, ...problems] = stderr.trimEnd().split('\n');
  expect(head).toBe('error: settings.invalid: job options, 5 problems:');
  expect(problems.toSorted()).toEqual([
    `  - Letter.options.priority: 9 is none of 1 (first) to 5 (last)`,
    `  - Report.options.heartbeatTimeout: '5 parsecs' is no duration: give milliseconds as a number, or text like '30 seconds', '5 minutes', '250ms', '1h'`,
    `  - Report.options.retry.maximumAttempts: 0 is no whole number from 1 on (or Infinity for no limit)`,
    `  - Report.options: 'crashRetry' is unknown; did you mean 'crashRetries'?`,
    `  - Report.options: 'speed' is unknown; there are retry, runTimeout, totalTimeout, heartbeatTimeout, crashRetries, priority, engine, whenLost, lane`,
  ]);
});

it('lists all wrong values of the command line at once', async () => {
  expect(await worker('app', '--concurrency', 'many', '-l', 'loud', '--queue=a,,b')).toEqual({
    code: 2,
    signal: null,
    stderr: `error: settings.invalid: settings, 3 problems:
  - --log-level: 'loud' is unknown; there are trace, debug, info, warn, error, fatal, silent, warning, critical
  - --queue: [ 'a,,b' ] has an empty queue name in it
  - --concurrency: 'many' is no whole number from 1 on
`,
  });
});

it('says where it looked for a configuration file that is not there', async () => {
  expect(await worker('.')).toEqual({
    code: 2,
    signal: null,
    stderr: `error: config.not_found: ${fixture('.')} has none of asyncjob.config.ts, asyncjob.config.mts, asyncjob.config.js, asyncjob.config.mjs. Start in the folder of the application, or name its file: --app FILE (or ASYNCJOB_APP).
`,
  });
  expect(await worker('.', '-A', 'app/config.ts')).toMatchObject({
    code: 2,
    stderr: `error: config.not_found: ${fixture('app/config.ts')} does not exist. Start in the folder of the application, or name its file: --app FILE (or ASYNCJOB_APP).
`,
  });
});

it('shows no password of a database that is not there', async () => {
  const { code, stderr } = await runCli(['worker', '--no-wait'], {
    env: { ...env, DATABASE_URL: 'postgres://ada:s3cret@127.0.0.1:1/shop' },
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: database\.unavailable: PostgreSQL at 127\.0\.0\.1:1\/shop cannot be used \(.*\)\. Check .*\n$/);
  expect(stderr).not.toContain('s3cret');
});
