// What is committed runs once, and what is rolled back never, whatever is lost between PostgreSQL and Temporal.
import { expect, it } from 'vitest';
import type { AsyncJob } from 'asyncjob';
import { until } from '../support/until.ts';
import { Held, Quick } from './fixtures/app/jobs.ts';
import { IS_LONG, PATIENCE_MS } from './support/patience.ts';
import { withStage } from './support/with-stage.ts';

const stage = withStage({ proxies: true });

const IN_TWO_DAYS = () => new Date(Date.now() + 48 * 60 * 60_000);

/** Temporal's lists lag behind. */
async function expectOneExecution(job: AsyncJob): Promise<void> {
  const listed = async () => {
    const executions = await stage().executionsOf(job);
    return executions.length > 0 ? executions : null;
  };
  expect(await until(listed, { what: 'Temporal lists an execution', timeoutMs: PATIENCE_MS })).toHaveLength(1);
}

it('a job whose process died between the commit and the dispatch runs once', async () => {
  await using enqueuer = stage().runModule('dies-after-commit.ts');
  expect(await enqueuer.end()).toEqual({ code: null, signal: 'SIGKILL' });
  const job = (await Quick.latest())!;
  expect(await stage().row(job)).toMatchObject({ status: 'PENDING', runId: null });
  await stage().worker();
  expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, attempt: 1 });
  await expectOneExecution(job);
});

it('a job whose start Temporal never heard, and one whose start it never answered, run once', async () => {
  stage().temporalProxy.mode = 'refuse';
  const unheard = await Quick.enqueue({});
  expect(await stage().row(unheard)).toMatchObject({ status: 'PENDING', runId: null });
  stage().temporalProxy.mode = 'open';
  await until(() => stage().app.temporal.workflow.count(''), { what: 'Temporal is reached again', timeoutMs: PATIENCE_MS }).catch(() => 0);

  stage().temporalProxy.mode = 'drop-answers';
  const unanswered = await Quick.enqueue({});
  expect(await stage().row(unanswered)).toMatchObject({ status: 'PENDING', runId: null });
  stage().temporalProxy.mode = 'open';

  await stage().worker();
  for (const job of [unheard, unanswered]) {
    expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, attempt: 1 });
    await expectOneExecution(job);
  }
});

it('a job whose enqueueing was rolled back never runs', async () => {
  await stage().worker();
  const job = await Quick.create({});
  const rollback = new Error('rolled back');
  const enqueued = stage()
    .app.orm.em.fork()
    .transactional(async (em) => {
      await job.enqueue({ em: em as never });
      await Quick.enqueue({}, { em: em as never });
      throw rollback;
    });
  await expect(enqueued).rejects.toBe(rollback);
  await stage().settled(await Quick.enqueue({}));
  expect(await stage().row(job)).toMatchObject({ status: 'NEW', run: 0 });
  expect(await stage().executionsOf(job)).toEqual([]);
  expect(await stage().effects(job)).toEqual([]);
});

it('a job for the day after tomorrow waits, and can be revoked', async () => {
  await stage().worker();
  const job = await Quick.enqueue({}, { runAt: IN_TWO_DAYS() });
  const { runId } = await stage().until(job, ({ runId }) => runId !== null);
  await stage().settled(await Quick.enqueue({}));
  expect(await stage().row(job)).toMatchObject({ status: 'PENDING', runId, run: 1, attempt: 0 });
  const execution = stage().app.temporal.workflow.getHandle(job.workflowId ?? (await stage().row(job)).workflowId!);
  expect((await execution.describe()).status.name).toBe('RUNNING');

  expect(await stage().asksToRevoke(job).revoke()).toBe('REVOKED');

  await until(async () => (await execution.describe()).status.name === 'CANCELLED', { timeoutMs: PATIENCE_MS });
  expect(await stage().effects(job)).toEqual([]);
});

it('five workers at once dispatch each run once', async () => {
  await stage().workersOf(5);
  const { rows } = await stage().db.query<{ id: string }>(
    `insert into quick (status) select 'PENDING' from generate_series(1, 100) returning id::text`,
  );
  const ids = [...rows.map(({ id }) => id), ...(await Quick.enqueueMany(Array.from({ length: 50 }, () => ({}))))];
  await stage().quiet();
  const prefix = `${stage().app.name}/Quick/`;
  const query = `WorkflowType = 'Quick' and WorkflowId STARTS_WITH "${prefix}"`;
  const allListed = async () => {
    const executions = new Map<string, number>();
    for await (const { workflowId } of stage().app.temporal.workflow.list({ query })) {
      const id = workflowId.slice(prefix.length).split('/')[0]!;
      executions.set(id, (executions.get(id) ?? 0) + 1);
    }
    return ids.every((id) => executions.has(id)) ? executions : null;
  };
  const executions = await until(allListed, { what: 'Temporal lists them all', timeoutMs: PATIENCE_MS });
  expect(ids.filter((id) => executions.get(id) !== 1)).toEqual([]);
  const began = (await stage().effects()).filter(({ what, jobId }) => what === 'began' && ids.includes(jobId));
  expect(began).toHaveLength(ids.length);
});

it('a run that is handed to Temporal a second time is the same execution', async () => {
  const job = await Held.enqueue({});
  const { runId } = await stage().until(job, ({ runId }) => runId !== null);
  // As after a crash between the start call and its note on the row.
  await stage().db.query('update held set run_id = null, workflow_id = null, enqueued_at = null where id = $1', [job.id]);
  await stage().worker();
  await stage().happened(job, 'began');
  await stage().release(job);
  expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, attempt: 1, runId });
  await expectOneExecution(job);
});

// gRPC notices it by its keepalive, after 45 seconds.
it.runIf(IS_LONG)('connections to Temporal that are silent for ever, while new ones work, delay a job and lose none', async () => {
  await stage().worker();
  const running = await Held.enqueue({});
  await stage().happened(running, 'began');

  stage().temporalProxy.forgetLines();

  const next = await Quick.enqueue({});
  await stage().release(running);
  for (const job of [running, next]) {
    expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, failures: 0, crashes: 0 });
    expect((await stage().effects(job)).map(({ what }) => what)).toEqual(['began', 'ended']);
  }
});
