// `asyncjob status` as a user calls it: counts, one job in full, and without the servers that it does not need.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../support/servers.ts';
import { Letter, Poison, Step } from './fixtures/app/jobs.ts';
import { openApplication, type TestApplication } from './support/application.ts';
import { runCommand } from './support/run-command.ts';
import { startSilentServer } from './support/silent-server.ts';

const UNKNOWN = '01900000-0000-7000-8000-000000000000';

describe('asyncjob status', () => {
  let shop: TestApplication;
  let done: Step;
  let failed: Poison;
  let waiting: Letter;
  beforeAll(async () => {
    shop = await openApplication();
    using _step = shop.app.handle(Step, (_task, job) => void (job.note = 'done'));
    using _poison = shop.app.handle(Poison, async (task) => {
      await task.saveCheckpoint({ page: 3 });
      throw new RangeError('too far');
    });
    await using worker = await shop.app.worker({ signals: false });
    void worker.run();
    done = await Step.enqueue({ released: true, note: 'x' });
    failed = await Poison.enqueue();
    await Promise.all([done.wait({ timeout: '30 seconds' }), failed.wait({ timeout: '30 seconds' })]);
    waiting = await Letter.enqueue();
    await Letter.enqueue({}, { delay: '1 hour' });
    await Letter.create();
  });
  afterAll(() => shop?.[Symbol.asyncDispose]());

  const status = (args: string[], env: Record<string, string> = {}) => runCommand(['status', ...args], { env: { ...shop.env, ...env } });

  it('counts jobs by type, queue and status', async () => {
    const { code, stdout, stderr } = await status([]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.split('\n').map((line) => line.replaceAll(/ +/g, ' '));
    expect(lines).toEqual(
      expect.arrayContaining([
        'JOB TYPE QUEUE NEW PENDING STARTED SUCCESS FAILURE REVOKED',
        'Letter post 1 2 - - - -',
        'Poison default - - - - 1 -',
        'Step default - - - 1 - -',
        expect.stringMatching(/^1 job waits for a worker, the oldest for \d/) as string,
      ]),
    );
    expect(stdout).not.toContain('\u001B');
  });

  it('says the same as JSON', async () => {
    const { stdout } = await status(['--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      application: shop.app.name,
      jobs: [{ jobType: 'Letter', queue: 'post', counts: { NEW: 1, PENDING: 2, SUCCESS: 0 } }, { jobType: 'Poison' }, { jobType: 'Step' }],
      waiting: 1,
      undispatched: 0,
      oldestUndispatchedMs: null,
    });
  });

  it('shows a failed job with error, attempts, times and where Temporal has it', async () => {
    const { code, stdout } = await status([failed.id]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Poison ${failed.id} FAILURE\n`);
    expect(stdout).toMatch(/ {2}checkpoint +\{ page: 3 \}\n/);
    expect(stdout).toMatch(/ {2}ended +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(.+ ago\), ran \d+ m?s\n/);
    expect(stdout).toMatch(/Error\n {2}RangeError: too far\n {4}at .*status\.test/);
    expect(stdout).toMatch(/Attempts that did not simply succeed\n +RUN .*\n +1 +1 +failed .*\n {4}RangeError: too far\n/);
    expect(stdout).toContain(`--namespace default \\\n    --workflow-id '${shop.app.name}/Poison/${failed.id}/1'\n`);
  });

  it('shows own columns, and finds a job by its workflow id, too', async () => {
    const [byId, byWorkflow] = await Promise.all([status([done.id]), status([`${shop.app.name}/Step/${done.id}/1`, '--json'])]);
    expect(byId.stdout).toMatch(/Own columns\n {2}released {2}true\n {2}note {6}done\n/);
    expect(JSON.parse(byWorkflow.stdout)).toMatchObject({
      jobType: 'Step',
      id: done.id,
      status: 'SUCCESS',
      own: { released: true },
      attempts: [],
      temporal: { namespace: 'default', taskQueue: `${shop.app.name}/default`, link: null },
    });
  });

  it('links to Temporal’s UI where TEMPORAL_UI says it is', async () => {
    const { stdout } = await status([done.id], { TEMPORAL_UI: 'http://localhost:8233/' });
    expect(stdout).toMatch(
      new RegExp(`\n  http://localhost:8233/namespaces/default/workflows/${shop.app.name}%2FStep%2F${done.id}%2F1/[0-9a-f-]{36}/history\n`),
    );
  });

  it('needs no Temporal', async () => {
    await using silent = await startSilentServer();
    for (const args of [[], [waiting.id]]) {
      const { code, stdout } = await status(args, { TEMPORAL_ADDRESS: silent.address });
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('PENDING') as string });
    }
  });

  it.each([UNKNOWN, `Step/${UNKNOWN}/1`, 'nonsense'])('says that there is no job %s', async (id) => {
    const { code, stdout, stderr } = await status([id]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: job\.not_found: .+\n$/);
    expect(stderr).toContain(id);
  });

  it('says where PostgreSQL is away, in time', async () => {
    await using silent = await startSilentServer();
    for (const where of ['127.0.0.1:1', silent.address]) {
      const { code, stderr, tookMs } = await status([], { DATABASE_URL: `postgres://me:s3cret@${where}/shop` });
      expect(code).toBe(1);
      expect(stderr).toContain(`database.unavailable: PostgreSQL at ${where}/shop`);
      expect(stderr).not.toContain('s3cret');
      expect(tookMs).toBeLessThan(25_000);
    }
  });

  it('says what to do where tables are missing', async () => {
    await using empty = await freshDatabase();
    const { code, stderr } = await status([], { DATABASE_URL: empty.url });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: database\.schema: relation "[\w.]+" does not exist\. Run the application's migrations/);
  });
});
