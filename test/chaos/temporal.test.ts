// Temporal goes away, forgets, or is used by somebody else: the row tells the truth again within seconds.
import { expect, it } from 'vitest';
import { until } from '../support/until.ts';
import { Held, KINDS, Quick } from './fixtures/app/jobs.ts';
import { inEveryWay } from './support/in-every-way.ts';
import { PATIENCE_MS } from './support/patience.ts';
import type { JobRow } from './support/stage.ts';
import { withStage } from './support/with-stage.ts';

const stage = withStage();

const executionOf = async (job: Held | Quick) => {
  const { workflowId } = await stage().until(job, (row) => row.workflowId !== null);
  return stage().app.temporal.workflow.getHandle(workflowId!);
};
const begun = async (queue = 'default') => {
  const job = await Held.enqueue({}, { queue });
  await stage().happened(job, 'began');
  return job;
};
const begunInEveryWay = async () => {
  const jobs = await inEveryWay(({ Held }) => Held.enqueue({}));
  for (const job of jobs) await stage().happened(job, 'began');
  return jobs;
};
const many = (count: number) => Array.from({ length: count }, () => ({}));
const namespace = 'default';

async function expectAllSucceeded(): Promise<void> {
  const rows = await stage().rows();
  expect(rows.filter(({ status, failures }) => status !== 'SUCCESS' || failures > 0)).toEqual([]);
}

it('a job whose workflow somebody terminates is REVOKED, running or waiting, and its handler stops', async () => {
  await stage().worker();
  const running = await begun();
  const waiting = await Quick.enqueue({}, { delay: '1 hour' });
  stage().asksToRevoke<Held | Quick>(running, waiting);

  for (const job of [running, waiting]) await (await executionOf(job)).terminate('by hand');

  for (const job of [running, waiting]) expect(await stage().settled(job)).toMatchObject({ status: 'REVOKED', run: 1 });
  await stage().happened(running, 'stopped');
});

it('a job whose workflow somebody cancels is REVOKED, running or waiting', async () => {
  await stage().worker();
  const running = await begun();
  const waiting = await Quick.enqueue({}, { delay: '1 hour' });
  stage().asksToRevoke<Held | Quick>(running, waiting);

  for (const job of [running, waiting]) await (await executionOf(job)).cancel();

  for (const job of [running, waiting]) expect(await stage().settled(job)).toMatchObject({ status: 'REVOKED', run: 1 });
  await stage().happened(running, 'stopped', { detail: 'cancelled' });
});

it('a job whose workflow somebody resets goes on, and is not run twice', async () => {
  await stage().worker();
  const job = await begun();
  const execution = await executionOf(job);
  const { events } = await execution.fetchHistory();
  const task = events!.find(({ workflowTaskCompletedEventAttributes }) => workflowTaskCompletedEventAttributes)!;
  await stage().app.temporal.workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId: execution.workflowId, runId: (await stage().row(job)).runId! },
    reason: 'by hand',
    requestId: crypto.randomUUID(),
    workflowTaskFinishEventId: task.eventId!,
  });
  await until(async () => (await stage().executionsOf(job)).length === 2);
  // The new execution's attempt waits in place for the old one's.
  const isWaiting = async () => (await execution.describe()).raw.pendingActivities?.some(({ lastStartedTime }) => lastStartedTime);
  await until(isWaiting, { what: 'its attempt was taken', timeoutMs: PATIENCE_MS });

  await stage().release(job);

  expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, failures: 0, crashes: 0 });
  await until(async () => (await execution.describe()).status.name === 'COMPLETED', { timeoutMs: PATIENCE_MS });
  expect((await stage().effects(job)).map(({ what }) => what)).toEqual(['began', 'ended']);
});

it('a job whose workflow is deleted gets its next run, but never while its handler lives', async () => {
  const worker = await stage().worker();
  const running = await begun();
  const abandoned = await begun();
  const waiting = await Quick.enqueue({}, { delay: '8 seconds' });
  for (const job of [running, abandoned, waiting]) {
    const { workflowId } = await executionOf(job);
    await stage().app.temporal.workflowService.deleteWorkflowExecution({ namespace, workflowExecution: { workflowId } });
  }
  // The waiting one's next run shows that the reconciler has seen them all.
  expect(await stage().until(waiting, ({ run }) => run > 1)).toMatchObject({ run: 2 });
  expect(await stage().row(running)).toMatchObject({ status: 'STARTED', run: 1 });
  await stage().release(running);
  expect(await stage().settled(running)).toMatchObject({ status: 'SUCCESS', run: 1, attempt: 1 });
  expect(await stage().settled(waiting)).toMatchObject({ status: 'SUCCESS', run: 2 });

  await worker.kill9();
  await stage().worker();

  await stage().happened(abandoned, 'began', { run: 2 });
  await stage().release(abandoned);
  expect(await stage().settled(abandoned)).toMatchObject({ status: 'SUCCESS', run: 2, failures: 0 });
});

it('an execution that is open although its row is settled is terminated', async () => {
  const job = stage().asksToRevoke(await Quick.enqueue({}, { delay: '1 hour' }));
  const execution = await executionOf(job);
  await stage().db.query(`update quick set status = 'REVOKED', ended_at = now() - interval '2 minutes' where id = $1`, [job.id]);
  // A worker walks all executions when it begins, and then once a minute: this one shall be in the lists by then.
  const query = `ExecutionStatus = 'Running' and WorkflowId = '${execution.workflowId}'`;
  await until(async () => (await stage().app.temporal.workflow.count(query)).count === 1, { timeoutMs: PATIENCE_MS });
  await stage().worker();
  await until(async () => (await execution.describe()).status.name === 'TERMINATED', { timeoutMs: PATIENCE_MS });
  expect(await stage().row(job)).toMatchObject({ status: 'REVOKED', run: 1 });
});

it('a Temporal that is away for longer than the heartbeat timeout repeats no handler and fails no job', async () => {
  await stage().workersOf(2);
  const jobs = [await begun(), ...(await begunInEveryWay())];

  await stage().temporal.kill9();
  // One of them ends meanwhile; Temporal does not hear of it.
  await stage().release(jobs[0]!);
  await stage().settled(jobs[0]!);
  // A lane goes on.
  const inLane = await KINDS.lane.Held.enqueue({});
  await stage().happened(inLane, 'began');
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  await stage().temporal.start();
  const backAt = Date.now();

  // The server gives up the attempts and sends the next ones, which wait in place; unless their heartbeats were faster.
  const execution = await executionOf(jobs[1]!);
  const knows = async () =>
    (await execution.describe()).raw.pendingActivities?.some(
      ({ attempt, lastHeartbeatTime }) => attempt! > 1 || Number(lastHeartbeatTime?.seconds ?? 0) * 1_000 > backAt,
    );
  await until(knows, { what: 'a second attempt, or a heartbeat of the first', timeoutMs: PATIENCE_MS });
  jobs.push(inLane);
  await stage().release(...jobs);
  for (const job of jobs) {
    expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, failures: 0, crashes: 0 });
    expect((await stage().effects(job)).map(({ what }) => what)).toEqual(['began', 'ended']);
  }
});

it('a restart of Temporal with its data under load loses nothing and repeats no handler', async () => {
  await stage().workersOf(2);
  const later = await inEveryWay(({ Quick }) => Quick.enqueue({}, { delay: '6 seconds' }));
  await inEveryWay(async ({ Slow, Quick }) => {
    await Slow.enqueueMany(many(7));
    await Quick.enqueueMany(many(14));
  });
  await until(async () => (await stage().effects()).length > 20, { timeoutMs: PATIENCE_MS });

  await stage().temporal.kill9();
  const meanwhile = await inEveryWay(({ Quick }) => Quick.enqueue({}));
  await stage().temporal.start();

  for (const job of meanwhile) expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1 });
  await stage().quiet();
  for (const job of later) {
    const [began] = (await stage().effects(job)).filter(({ what }) => what === 'began');
    expect(began!.at).toBeGreaterThanOrEqual(job.runAt!.getTime());
    expect(await stage().row(job)).toMatchObject({ status: 'SUCCESS', run: 1, attempt: 1 });
  }
  await expectAllSucceeded();
  const { duplicates } = await stage().check();
  expect(duplicates).toBe(0);
});

it('a Temporal that comes back without its data gets everything open anew, at its time, and nothing that is done', async () => {
  await stage().workersOf(2);
  const done = await Quick.enqueue({});
  await stage().settled(done);
  const running = await begunInEveryWay();
  const later = await inEveryWay(({ Quick }) => Quick.enqueue({}, { delay: '10 seconds' }));
  await inEveryWay(({ Slow }) => Slow.enqueueMany(many(7)));
  await until(async () => (await stage().effects()).length > 10, { timeoutMs: PATIENCE_MS });

  await stage().temporal.restart({ without: 'data' });

  for (const job of later) {
    expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS' });
    const [began] = (await stage().effects(job)).filter(({ what }) => what === 'began');
    expect(began!.at).toBeGreaterThanOrEqual(job.runAt!.getTime());
  }
  await stage().release(...running);
  for (const job of running) expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, attempt: 1 });
  await stage().quiet();
  await expectAllSucceeded();
  // Two workers have a reconciler each, and only one of them acts.
  expect((await stage().rows()).filter(({ run }) => run > 2)).toEqual([]);
  expect(await stage().row(done)).toMatchObject({ status: 'SUCCESS', run: 1 });
});

it.each([
  ['PostgreSQL first', ['postgres', 'temporal']],
  ['Temporal first', ['temporal', 'postgres']],
] as const)('both servers are killed and restarted, %s: everything ends as it should', async (_, order) => {
  await stage().worker();
  const running = await begunInEveryWay();
  await inEveryWay(({ Slow }) => Slow.enqueueMany(many(4)));
  for (const server of order) await stage()[server].kill9();
  await stage().release(...running);
  for (const job of running) await stage().happened(job, 'ended');
  for (const server of order) await stage()[server].start();
  for (const job of running) expect(await stage().settled(job)).toMatchObject({ status: 'SUCCESS', run: 1, failures: 0, crashes: 0 });
  await stage().quiet();
  await expectAllSucceeded();
});

it('a revocation while everything but PostgreSQL is down outlives the restart of everything', async () => {
  const worker = await stage().worker();
  const running = await begunInEveryWay();
  const waiting = await inEveryWay(({ Quick }) => Quick.enqueue({}, { delay: '5 seconds' }));
  await worker.kill9();
  await stage().temporal.kill9();
  stage().asksToRevoke<Held | Quick>(...running, ...waiting);

  for (const job of waiting) expect(await job.revoke()).toBe('REVOKED');
  for (const job of running) expect(await job.revoke({ reason: 'nobody needs it' })).toBe('STARTED');

  await stage().postgres.restart();
  await stage().temporal.start();
  const { pid } = await stage().worker();
  for (const job of running) {
    const row: JobRow = await stage().settled(job);
    expect(row).toMatchObject({ status: 'REVOKED', run: 1 });
    expect(row.revokeRequestedAt).not.toBeNull();
  }
  await stage().settled(await Quick.enqueue({}, { delay: '5 seconds' }));
  for (const job of waiting) expect(await stage().row(job)).toMatchObject({ status: 'REVOKED' });
  const revoked = new Set([...running, ...waiting].map(({ id }) => id));
  expect((await stage().effects()).filter((effect) => effect.pid === pid && revoked.has(effect.jobId))).toEqual([]);
});
