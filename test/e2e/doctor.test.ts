// `asyncjob doctor` as a user calls it, against real servers: healthy, away, hanging, and with what goes wrong in between.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/until.ts';
import { Letter, Step } from './fixtures/app/jobs.ts';
import lanesConfig from './fixtures/lanes/asyncjob.config.ts';
import { Crumb } from './fixtures/lanes/jobs.ts';
import { openApplication, type TestApplication } from './support/application.ts';
import { fixture, PATIENCE_MS } from './support/cli.ts';
import { doctor } from './support/doctor.ts';
import { runCommand } from './support/run-command.ts';
import { startSilentServer } from './support/silent-server.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** Far more than it needs, far less than anybody's default timeout: the machine may be busy. */
const SECONDS_MAX = 25;

/** Its registry row outlasts a machine that stands still for some seconds. */
const LASTING = { ASYNCJOB_WORKER_TTL: '15 seconds' };

describe('asyncjob doctor', () => {
  let shop: TestApplication;
  beforeAll(async () => {
    shop = await openApplication();
  });
  afterAll(() => shop?.[Symbol.asyncDispose]());

  it('finds nothing wrong where everything is fine', async () => {
    await using _worker = await shop.readyWorker(['-Q', 'default,post'], LASTING);
    await shop.settled(await Step.enqueue({ released: true }));
    const { code, stderr, document, of, levels } = await doctor(shop.env);
    expect({ code, stderr, counts: document.counts }).toEqual({
      code: 0,
      stderr: '',
      counts: { ok: document.findings.length, warning: 0, problem: 0 },
    });
    expect(document.ok).toBe(true);
    expect(of('handlers')[0]!.details).toEqual(["queue 'default': Deaf, Poison, Step", "queue 'post': Letter"]);
    expect(of('temporal')[0]!.values).toMatchObject({
      address: shop.env['TEMPORAL_ADDRESS'],
      namespace: 'default',
      retentionMs: expect.any(Number) as number,
    });
    expect(of('workers')[0]!.values).toMatchObject({ alive: [{ queues: ['default', 'post'], state: 'alive', ttlMs: 15_000 }] });
    expect(levels).toMatchObject({ 'temporal.pollers': 'ok', 'database.schema': 'ok', 'packages.temporal': 'ok' });
    expect(JSON.stringify(document)).not.toContain(new URL(shop.env['DATABASE_URL']!).password);
  });

  it('reads well: 80 columns, no colours in a pipe or with NO_COLOR, colours when they are wanted', async () => {
    const [piped, coloured, not] = await Promise.all([
      runCommand(['doctor'], { env: shop.env }),
      runCommand(['doctor'], { env: { ...shop.env, FORCE_COLOR: '1' } }),
      runCommand(['doctor'], { env: { ...shop.env, NO_COLOR: '1' } }),
    ]);
    const tooLong = piped.stdout.split('\n').filter((line) => line.length > 80 && line.includes(' ', 12));
    expect(tooLong).toEqual([]);
    expect(piped.stdout).toMatch(/^ok {6}database: PostgreSQL \d+/m);
    expect(piped.stdout + not.stdout).not.toContain('\u001B');
    expect(coloured.stdout).toContain('\u001B[32mok     \u001B[39m');
  });

  describe('without Temporal', () => {
    it.each(['refuses', 'hangs'])('that %s: says so in time, and everything else', async (how) => {
      await using silent = await startSilentServer();
      const address = how === 'refuses' ? '127.0.0.1:1' : silent.address;
      const { code, tookMs, of, levels } = await doctor({ ...shop.env, TEMPORAL_ADDRESS: address }, { silent: ['temporal'] });
      expect(code).toBe(1);
      expect(tookMs).toBeLessThan(SECONDS_MAX * 1_000);
      expect(of('temporal')).toMatchObject([{ level: 'problem', values: { code: 'temporal.unavailable' } }]);
      expect(of('temporal')[0]!.found).toContain(address);
      expect(levels).toMatchObject({ database: 'ok', 'database.schema': 'ok', handlers: 'ok', jobs: 'ok' });
      expect(levels).not.toHaveProperty('temporal.pollers');
    });

    it('has an address but not the namespace: says which', async () => {
      const { code, of } = await doctor({ ...shop.env, TEMPORAL_NAMESPACE: 'nowhere' });
      expect(code).toBe(1);
      expect(of('temporal')).toMatchObject([
        { level: 'problem', found: expect.stringContaining("no namespace 'nowhere'") as string, values: { code: 'temporal.namespace' } },
      ]);
    });
  });

  describe('without PostgreSQL', () => {
    it.each(['refuses', 'hangs'])('that %s: says so in time, and everything else', async (how) => {
      await using silent = await startSilentServer();
      const where = how === 'refuses' ? '127.0.0.1:1' : silent.address;
      const { code, tookMs, of, levels, stdout } = await doctor(
        { ...shop.env, DATABASE_URL: `postgres://me:s3cret@${where}/shop` },
        { silent: ['database'] },
      );
      expect(code).toBe(1);
      expect(tookMs).toBeLessThan(SECONDS_MAX * 1_000);
      expect(of('database')).toMatchObject([{ level: 'problem', found: expect.stringContaining(`${where}/shop`) as string }]);
      expect(levels).toMatchObject({ temporal: 'ok', handlers: 'ok', 'temporal.pollers': 'ok' });
      expect(stdout).not.toContain('s3cret');
    });

    it('has a server but not the database: says so, and does not create it', async () => {
      const url = new URL(shop.env['DATABASE_URL']!);
      url.pathname = '/not_there';
      const { of } = await doctor({ ...shop.env, DATABASE_URL: url.href });
      expect(of('database')).toMatchObject([{ level: 'problem', found: expect.stringContaining('"not_there" does not exist') as string }]);
      const { rows } = await shop.db.query("select 1 from pg_database where datname = 'not_there'");
      expect(rows).toEqual([]);
    });

    it('and without Temporal it still answers in time', async () => {
      await using silent = await startSilentServer();
      const { code, tookMs, levels } = await doctor(
        { ...shop.env, TEMPORAL_ADDRESS: silent.address, DATABASE_URL: `postgres://${silent.address}/x` },
        { silent: ['database', 'temporal'] },
      );
      expect(code).toBe(1);
      expect(tookMs).toBeLessThan(SECONDS_MAX * 1_000);
      expect(levels).toMatchObject({ database: 'problem', temporal: 'problem', handlers: 'ok' });
    });
  });

  describe('tables', () => {
    it('behind the code are a problem, ahead of it a warning; other tables are none of its business', async () => {
      await using own = await openApplication();
      await own.db.query(
        'create table somebody_elses (id int); alter table happening drop column pid; alter table step add column future text',
      );
      const ahead = await doctor(own.env);
      expect(ahead.of('database.schema')).toMatchObject([{ level: 'warning', details: ['alter table "step" drop column "future"'] }]);
      expect(ahead.code).toBe(0);
      await own.db.query(
        'alter table step drop column future, drop column note; drop index letter_created_at_index; drop view async_job_view',
      );
      const behind = await doctor(own.env);
      expect(behind.code).toBe(1);
      expect(behind.of('database.schema')[0]).toMatchObject({
        level: 'problem',
        details: [
          'create index "letter_created_at_index" on "letter" ("created_at")',
          'alter table "step" add "note" text null',
          expect.stringMatching(/^create view "async_job_view" as select/) as string,
        ],
      });
    });
  });

  describe('jobs and workers', () => {
    it('names the queue where jobs wait and nobody works, and what was never dispatched', async () => {
      await using own = await openApplication();
      await own.app.run(() => Letter.enqueue());
      await own.db.query(`insert into step (status, enqueued_at) values ('PENDING', now() - interval '3 minutes')`);
      const nobody = await doctor(own.env);
      expect(nobody.code).toBe(1);
      expect(nobody.of('queues.unserved').map(({ level, values }) => [level, values!['queue'], values!['due']])).toEqual([
        ['problem', 'default', 1],
        ['problem', 'post', 1],
      ]);
      expect(nobody.of('jobs.undispatched')).toMatchObject([
        { level: 'problem', found: expect.stringMatching(/^1 job committed .* 3 min/) as string },
      ]);
      expect(nobody.of('workers')).toMatchObject([{ level: 'warning' }]);
      await using _worker = await own.readyWorker([], LASTING);
      const half = await doctor(own.env);
      expect(half.of('queues.unserved').map(({ values }) => values!['queue'])).toEqual(['post']);
    });

    it('names a worker that died and the job that it ran', async () => {
      await using own = await openApplication();
      const worker = await own.readyWorker();
      const job = await own.app.run(() => Step.enqueue());
      await own.happened(job, 'began');
      await until(async () => (await doctor(own.env)).levels['jobs.lost'] === 'ok', { timeoutMs: PATIENCE_MS });
      worker.kill('SIGKILL');
      await worker.end();
      const died = await until(
        async () => {
          const report = await doctor(own.env);
          return report.levels['workers.died'] === 'warning' ? report : null;
        },
        { timeoutMs: PATIENCE_MS },
      );
      expect(died.of('jobs.lost')).toMatchObject([{ level: 'warning', details: [expect.stringContaining(`Step ${job.id}`) as string] }]);
      await own.db.query(`update async_job_worker set expires_at = now() - interval '10 minutes', seen_at = now() - interval '10 minutes'`);
      const late = await doctor(own.env);
      expect(late.code).toBe(1);
      expect(late.of('jobs.lost')).toMatchObject([{ level: 'problem' }]);
    });

    it('counts jobs in lanes apart from the slots, and says when they take long', async () => {
      const lanes = { folder: fixture('lanes'), config: lanesConfig };
      await using own = await openApplication({ fixture: lanes });
      await using _worker = await own.readyWorker(['-c', '10'], LASTING);
      const crumbs = await Promise.all([1, 2, 3].map(() => own.app.of(Crumb).enqueue()));
      for (const crumb of crumbs) await own.happened(crumb, 'began');
      await own.db.query(`update crumb set started_at = now() - interval '5 minutes' where id = $1`, [crumbs[0]!.id]);
      // Its registry row lists them with its next beat.
      await until(async () => (await own.db.query('select 1 from async_job_worker where jsonb_array_length(jobs) = 3')).rowCount);
      const { of } = await doctor(own.env, { cwd: lanes.folder });
      expect(of('workers')).toMatchObject([
        { found: '1 worker alive, 0 of 10 slots busy, 3 jobs in lanes', values: { alive: [{ running: 0, inLanes: 3 }] } },
      ]);
      expect(of('jobs.long_in_lane')).toMatchObject([{ level: 'warning', values: { number: 1, jobTypes: ['Crumb'] } }]);
    });

    it('names jobs that no worker has a handler for', async () => {
      await using own = await openApplication();
      await own.db.query(
        `insert into step (status, run_id, enqueued_at, error) values ('PENDING', 'x', now() - interval '5 minutes', '{"code": "handler.missing"}')`,
      );
      const { of } = await doctor(own.env);
      expect(of('jobs.handler_missing')).toMatchObject([{ level: 'problem', details: ["Step on 'default': 1"] }]);
    });

    it.each([
      ['another application', () => '4711@somewhere'],
      ['another database', (name: string) => `asyncjob ${name} somewhere:1:abcd`],
    ])('names pollers of %s', async (whose, identityOf) => {
      await using own = await openApplication();
      const identity = identityOf(own.app.name);
      const taskQueue = { name: `${own.app.name}/default` };
      const { workflowService } = own.app.temporal;
      const poll = own.app.temporal.withDeadline(Date.now() + 60_000, () =>
        workflowService.pollActivityTaskQueue({ namespace: 'default', taskQueue, identity }),
      );
      poll.catch(() => {}); // ends with the connection
      await until(async () => {
        const described = await workflowService.describeTaskQueue({
          namespace: 'default',
          taskQueue,
          taskQueueType: 2 as never, // activity
          reportPollers: true,
        });
        return described.pollers?.some((poller) => poller.identity === identity);
      });
      const { code, of } = await doctor(own.env);
      expect(code).toBe(1);
      expect(of('temporal.pollers')).toMatchObject([
        { level: 'problem', found: `1 poller of ${whose} on ${taskQueue.name}`, details: [expect.stringContaining(identity) as string] },
      ]);
    });
  });

  it('lists what Temporal sees otherwise, and repairs it with --fix, without a worker', async () => {
    await using own = await openApplication();
    const OwnStep = own.app.of(Step);
    const [ended, left] = [await OwnStep.enqueue({}, { queue: 'nobody' }), await OwnStep.create({})];
    const workflowId = await until(async () => (await ended.refresh()).workflowId);
    await own.app.temporal.workflow.getHandle(workflowId).terminate('not any more');
    // Committed long ago by a process that died before it dispatched.
    await own.db.query(`update step set status = 'PENDING', run = 1, enqueued_at = now() - interval '1 minute' where id = $1`, [left.id]);
    await own.db.query(`update step set enqueued_at = now() - interval '1 minute' where id = $1`, [ended.id]);
    const before = await until(
      async () => {
        const report = await doctor(own.env);
        return report.of('jobs.differences')[0]?.details?.length === 2 ? report : null;
      },
      { timeoutMs: PATIENCE_MS },
    );
    expect(before.of('jobs.differences')).toMatchObject([
      { level: 'problem', found: '2 jobs that Temporal sees otherwise', advice: expect.stringContaining('--fix') as string },
    ]);
    expect([(await ended.refresh()).status, (await left.refresh()).runId]).toEqual(['PENDING', null]);

    const fixed = await doctor(own.env, { args: ['--fix'] });

    expect(fixed.of('jobs.differences')).toMatchObject([{ level: 'ok', found: '2 jobs differed from Temporal and were repaired' }]);
    expect([(await ended.refresh()).status, (await left.refresh()).runId]).toEqual(['REVOKED', expect.any(String)]);
    expect((await doctor(own.env)).of('jobs.differences')).toMatchObject([{ level: 'ok', found: 'open jobs and Temporal agree' }]);
  });

  describe('an application of one’s own', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-doctor-'));
      await mkdir(path.join(folder, 'node_modules'));
      await symlink(ROOT, path.join(folder, 'node_modules/asyncjob'));
      await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }');
      await writeFile(
        path.join(folder, 'asyncjob.config.js'),
        `import { asyncJob, defineConfig, jobs, p } from 'asyncjob';
         console.log('noise of a module');
         export class Known extends asyncJob('Known', {}) {}
         export class Unknown extends asyncJob('Unknown', {}) {}
         export default defineConfig({ orm: { entities: jobs(Known) } });`,
      );
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it('keeps what modules print out of the document', async () => {
      const { stderr, document } = await doctor(shop.env, { cwd: folder });
      expect(stderr).toContain('noise of a module');
      expect(document.findings.length).toBeGreaterThan(10);
    });

    it('says which handlers are missing, have no table, or do not load', async () => {
      const handlers = path.join(folder, 'handlers.js');
      await writeFile(handlers, `import { Unknown } from './asyncjob.config.js'; Unknown.handler(() => {});`);
      const strange = await doctor(shop.env, { cwd: folder });
      expect(strange.of('handlers.without_table')).toMatchObject([{ level: 'problem', values: { jobTypes: ['Unknown'] } }]);
      await writeFile(handlers, `throw new TypeError('not today');`);
      const broken = await doctor(shop.env, { cwd: folder });
      expect(broken.of('handlers')).toMatchObject([{ level: 'problem', details: ['handlers.js: TypeError: not today'] }]);
      expect([strange.code, broken.code]).toEqual([1, 1]);
      await rm(handlers);
      const none = await doctor(shop.env, { cwd: folder });
      expect(none.of('handlers')).toMatchObject([{ level: 'warning' }]);
    });

    it('finds packages of two versions', async () => {
      const place = path.join(folder, 'node_modules/@temporalio/client');
      await mkdir(place, { recursive: true });
      await writeFile(path.join(place, 'package.json'), '{ "name": "@temporalio/client", "version": "1.23.0" }');
      const { code, of } = await doctor(shop.env, { cwd: folder });
      expect(code).toBe(1);
      expect(of('packages.temporal')).toMatchObject([
        { level: 'problem', found: expect.stringMatching(/of 2 versions: 1\.23\.0, /) as string },
      ]);
      expect(of('packages.asyncjob')).toMatchObject([{ level: 'ok' }]);
    });

    it.each([
      ['no configuration', ['-A', 'nowhere.js'], {}, 'configuration'],
      ['wrong settings', [], { ASYNCJOB_CONCURRENCY: 'many' }, 'settings'],
    ] as const)('ends with 2 for %s, and says the rest all the same', async (_, args, env, code) => {
      const { levels, ...ended } = await doctor({ ...shop.env, ...env }, { args: [...args], cwd: folder });
      expect(ended.code).toBe(2);
      expect(levels).toMatchObject({ [code]: 'problem', 'packages.node': 'ok' });
    });
  });
});
