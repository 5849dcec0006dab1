// The engine port on a real Temporal, without workers.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTemporal } from '../../src/dev/index.ts';
import type { DispatchRequest } from '../../src/domain/ports.ts';
import { resolveTemporal, TemporalConnection } from '../../src/temporal/connection.ts';
import { TemporalCalls } from '../../src/temporal/temporal-calls.ts';
import { WorkflowEngine } from '../../src/temporal/workflow-engine.ts';
import { lastingPort } from '../support/lasting-port.ts';
import { temporalAddress, temporalCli, uniqueQueue } from '../support/servers.ts';

const JOB_TYPE = 'EngineTest';
const queue = uniqueQueue();

function engineAt(address: string, options: { namespace?: string; deadlineMs?: number } = {}): WorkflowEngine {
  const connection = new TemporalConnection(resolveTemporal({ address, namespace: options.namespace ?? 'default' }, {}));
  return new WorkflowEngine(new TemporalCalls(connection, 'shop', options.deadlineMs ?? 5_000), []);
}

function aRequest(changes: Partial<DispatchRequest> = {}): DispatchRequest {
  return {
    jobType: JOB_TYPE,
    id: randomUUID(),
    run: 1,
    queue,
    startAt: null,
    priority: null,
    heartbeatTimeoutMs: 30_000,
    totalTimeoutMs: null,
    ...changes,
  };
}

async function timeOf(call: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await call();
  return performance.now() - begin;
}

describe('WorkflowEngine', () => {
  let connection: TemporalConnection;
  let engine: WorkflowEngine;

  beforeAll(() => {
    connection = new TemporalConnection(resolveTemporal({ address: temporalAddress(), namespace: 'default' }, {}));
    engine = new WorkflowEngine(new TemporalCalls(connection, 'shop'), []);
  });
  afterAll(() => engine.close());

  it("starts a workflow that bears the job type, on the application's task queue", async () => {
    const request = aRequest({ priority: 2 });
    const { runId, outcome } = await engine.dispatch(request);
    const execution = await connection.client.workflow.getHandle(`shop/${JOB_TYPE}/${request.id}/1`).describe();
    expect(outcome).toBe('started');
    expect(execution).toMatchObject({
      runId,
      type: JOB_TYPE,
      taskQueue: `shop/${queue}`,
      memo: { application: 'shop' },
      priority: { priorityKey: 2 },
    });
  });

  it('finds the running execution at a second dispatch', async () => {
    const request = aRequest();
    const first = await engine.dispatch(request);
    expect(await engine.dispatch(request)).toEqual({ workflowId: first.workflowId, runId: first.runId, outcome: 'running' });
  });

  it('finds the closed execution at a dispatch after its end', async () => {
    const request = aRequest();
    const first = await engine.dispatch(request);
    await engine.terminate(request, 'test');
    expect(await engine.dispatch(request)).toEqual({ workflowId: first.workflowId, runId: first.runId, outcome: 'closed' });
    expect(await engine.describe(request)).toMatchObject({ status: 'terminated', end: { reason: 'asyncjob: test', byThisLibrary: true } });
  });

  it('starts one execution however many dispatch at once', async () => {
    const request = aRequest();
    const dispatched = await Promise.all(Array.from({ length: 8 }, () => engine.dispatch(request)));
    expect(new Set(dispatched.map(({ runId }) => runId)).size).toBe(1);
    expect(dispatched.filter(({ outcome }) => outcome === 'started')).toHaveLength(1);
  });

  it('delays the first task until startAt, and starts at once what is due', async () => {
    const later = aRequest({ startAt: new Date(Date.now() + 3_600_000) });
    const due = aRequest({ startAt: new Date(Date.now() - 1_000) });
    await Promise.all([engine.dispatch(later), engine.dispatch(due)]);
    const delayOf = async (request: DispatchRequest) => {
      const { startTime, executionTime } = await connection.client.workflow.getHandle(`shop/${JOB_TYPE}/${request.id}/1`).describe();
      return executionTime!.getTime() - startTime.getTime();
    };
    expect(await delayOf(later)).toBeGreaterThan(3_500_000);
    expect(await delayOf(due)).toBe(0);
  });

  it('says nothing when there is nothing to cancel, terminate or describe', async () => {
    const closed = aRequest();
    await engine.dispatch(closed);
    await engine.terminate(closed, 'test');
    for (const request of [closed, aRequest()]) {
      await engine.cancel(request, 'test');
      await engine.terminate(request, 'test');
    }
    expect(await engine.describe(aRequest())).toEqual({ status: 'not_found' });
  });

  it('names an unknown namespace and what to do about it', async () => {
    const lost = engineAt(temporalAddress(), { namespace: 'nowhere' });
    for (const call of [() => lost.dispatch(aRequest()), () => lost.describe(aRequest()), () => lost.cancel(aRequest(), 'test')]) {
      await expect(call()).rejects.toMatchObject({ code: 'temporal.namespace', message: expect.stringContaining(`--namespace nowhere`) });
    }
    await lost.close();
  });

  it('waits for a Temporal that is away once, then fails at once, and notices its return', async () => {
    const port = await lastingPort();
    const away = engineAt(`127.0.0.1:${port}`, { deadlineMs: 1_500 });
    const fails = () =>
      expect(away.dispatch(aRequest())).rejects.toMatchObject({
        code: 'temporal.unavailable',
        message: expect.stringContaining(`127.0.0.1:${port}`),
      });
    expect(await timeOf(fails)).toBeGreaterThan(1_000);
    // Each that comes a second later tries it once more.
    const times = [await timeOf(fails), await timeOf(fails), await timeOf(fails)];
    expect(Math.min(...times)).toBeLessThan(100);
    const server = await startTemporal({ port, cli: temporalCli(), ui: false });
    try {
      await expect
        .poll(
          () =>
            away.dispatch(aRequest()).then(
              ({ outcome }) => outcome,
              () => 'away',
            ),
          { timeout: 15_000, interval: 100 },
        )
        .toBe('started');
    } finally {
      await away.close();
      await server.stop();
    }
  });
});
