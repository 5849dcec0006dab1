// Workflow, activities, interceptor and worker on a real Temporal; what the row would say is scripted per job. Once more in
// Temporal's sandbox: job-workflow-in-sandbox.test.ts.
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { heartbeat } from '@temporalio/activity';
import { createJobActivities, mirrorInterceptor } from '../../activities/index.ts';
import type { AttemptSlots } from '../../activities/index.ts';
import { readSettings } from '../../src/app/settings.ts';
import type { AttemptEnd, AttemptHost, RunAttempt } from '../../src/domain/attempt.ts';
import type { ErrorRecord } from '../../src/domain/errors.ts';
import { taskQueueOf, workflowIdOf } from '../../src/domain/identity.ts';
import type { DispatchRequest, Log } from '../../src/domain/ports.ts';
import type { FinalizeInput } from '../../src/domain/workflow-input.ts';
import { resolveTemporal, TemporalConnection } from '../../src/temporal/connection.ts';
import { TemporalCalls } from '../../src/temporal/temporal-calls.ts';
import { WorkflowEngine } from '../../src/temporal/workflow-engine.ts';
import { FairSlots } from '../../src/worker/slots.ts';
import { TemporalWorker } from '../../src/worker/temporal-worker.ts';
import { temporalAddress, uniqueQueue } from '../support/servers.ts';
import { until } from '../support/until.ts';

const JOB_TYPE = 'WorkflowTest';
const { workflowSandbox } = readSettings(process.env);
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

type Attempt = Parameters<RunAttempt>[1] extends infer Invoke ? (host: AttemptHost, invoke: Invoke) => Promise<AttemptEnd> : never;

let connection: TemporalConnection;
let engine: WorkflowEngine;
let queue: string;
let worker: TemporalWorker | null = null;
let running: Promise<unknown> = Promise.resolve();

/** Per job id: what its attempts do, in order (the last one repeats), and what was seen. */
const scripts = new Map<string, Attempt[]>();
const attempts: AttemptHost[] = [];
const lastWords: FinalizeInput[] = [];
let finalize: (input: FinalizeInput) => Promise<void> = async () => {};

const runAttempt: RunAttempt = (host, invoke) => {
  attempts.push(host);
  const script = scripts.get(host.ref.id) ?? [];
  return script[Math.min(host.ref.attempt, script.length) - 1]!(host, invoke as never);
};

function attemptsOf(id: string): AttemptHost[] {
  return attempts.filter((host) => host.ref.id === id);
}

function lastWordsOf(id: string): FinalizeInput[] {
  return lastWords.filter((input) => input.id === id);
}

interface WorkerChanges {
  queues?: string[];
  concurrency?: number;
  slots?: AttemptSlots;
  drainTimeoutMs?: number;
  interceptors?: number;
}

async function startWorker(changes: WorkerChanges = {}): Promise<TemporalWorker> {
  const { queues = [queue], concurrency = 4, slots, drainTimeoutMs = 1_000, interceptors = 1 } = changes;
  const created = await TemporalWorker.create({
    settings: resolveTemporal({ address: temporalAddress(), namespace: 'default' }, {}),
    taskQueues: queues.map((each) => taskQueueOf('', each)),
    concurrency,
    activities: createJobActivities({
      finalize: async (input) => {
        await finalize(input);
        lastWords.push(input);
      },
    }),
    interceptors: Array.from({ length: interceptors }, () => mirrorInterceptor({ runAttempt, ...(slots === undefined ? {} : { slots }) })),
    identity: 'test',
    log: silent,
    drainTimeoutMs,
    workflowSandbox,
  });
  running = created.run();
  running.catch(() => {});
  worker = created;
  return created;
}

async function dispatch(script: Attempt[], changes: Partial<DispatchRequest> = {}): Promise<DispatchRequest> {
  const request: DispatchRequest = {
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
  scripts.set(request.id, script);
  await engine.dispatch(request);
  return request;
}

function handleOf(request: DispatchRequest) {
  return connection.client.workflow.getHandle(workflowIdOf('', request));
}

/** How the workflow closed, and with what. */
async function closeOf(request: DispatchRequest): Promise<{ status: string; result: unknown }> {
  const result = await handleOf(request)
    .result()
    .catch((error: unknown) => error);
  const { status } = await handleOf(request).describe();
  return { status: status.name, result };
}

/** Its history without workflow tasks, of which a slow machine makes more. */
async function stepsOf(request: DispatchRequest): Promise<string[]> {
  const { events } = await handleOf(request).fetchHistory();
  const names = (events ?? []).map((event) => Object.keys(event).find((key) => key.endsWith('EventAttributes'))!);
  return names.filter((name) => !name.startsWith('workflowTask')).map((name) => name.replace('EventAttributes', ''));
}

async function pendingOf(request: DispatchRequest) {
  return (await handleOf(request).describe()).raw.pendingActivities?.[0];
}

const error: ErrorRecord = {
  type: 'CardError',
  message: 'card declined',
  code: 'card_declined',
  stack: 'CardError: card declined\n    at pay (pay.ts:1:1)',
  retryable: false,
};
const succeed: Attempt = async () => ({ kind: 'succeeded' });
const untilStopped =
  (end: AttemptEnd): Attempt =>
  (host) =>
    new Promise((resolve) => host.signal.addEventListener('abort', () => resolve(end)));

beforeAll(() => {
  connection = new TemporalConnection(resolveTemporal({ address: temporalAddress(), namespace: 'default' }, {}));
  engine = new WorkflowEngine(new TemporalCalls(connection, ''), []);
});
afterAll(() => engine.close());
beforeEach(() => {
  queue = uniqueQueue();
  finalize = async () => {};
});
afterEach(async () => {
  worker?.shutdown();
  await running.catch(() => {});
  worker = null;
});

describe('a job that succeeds', () => {
  it('runs its handler inside the activity, and closes with a receipt and no last word', async () => {
    await startWorker();
    const outputs: unknown[] = [];
    const job = await dispatch([
      async (_host, invoke) => {
        outputs.push(await invoke(async () => 42));
        return { kind: 'succeeded' };
      },
    ]);
    expect(await closeOf(job)).toEqual({ status: 'COMPLETED', result: { verdict: 'succeeded' } });
    expect(outputs).toEqual([42]);
    expect(lastWordsOf(job.id)).toEqual([]);
    expect(await stepsOf(job)).toEqual([
      'workflowExecutionStarted',
      'activityTaskScheduled',
      'activityTaskStarted',
      'activityTaskCompleted',
      'workflowExecutionCompleted',
    ]);
  });

  it('runs once when the interceptor is registered twice', async () => {
    await startWorker({ interceptors: 2 });
    const job = await dispatch([succeed]);
    expect((await closeOf(job)).status).toBe('COMPLETED');
    expect(attemptsOf(job.id)).toHaveLength(1);
  });

  it(`shows its stack trace in Temporal's UI: ${workflowSandbox ? 'yes' : 'not without the sandbox'}`, async () => {
    await startWorker();
    let finish = (): void => {};
    const job = await dispatch([() => new Promise((resolve) => (finish = () => resolve({ kind: 'succeeded' })))]);
    await until(() => attemptsOf(job.id).length);
    const stackTrace = await handleOf(job).query('__stack_trace').catch(String);
    expect(stackTrace).toContain(workflowSandbox ? 'at runAttempts' : 'stack traces are not enabled');
    finish();
    expect((await closeOf(job)).status).toBe('COMPLETED');
  });

  it('knows its run, attempt, execution and queue', async () => {
    await startWorker();
    const job = await dispatch([succeed]);
    await closeOf(job);
    const { runId } = await handleOf(job).describe();
    expect(attemptsOf(job.id)[0]).toMatchObject({ ref: { jobType: JOB_TYPE, id: job.id, run: 1, attempt: 1, runId }, queue });
  });
});

describe('an attempt that does not succeed', () => {
  it('failed: closes as failed after the last word', async () => {
    await startWorker();
    const job = await dispatch([async () => ({ kind: 'failed', error })]);
    const { status, result } = await closeOf(job);
    expect(status).toBe('FAILED');
    expect(result).toMatchObject({
      cause: { type: 'card_declined', message: 'card declined', stack: expect.stringContaining('pay.ts:1:1') },
    });
    expect(lastWordsOf(job.id)).toEqual([
      expect.objectContaining({
        jobType: JOB_TYPE,
        id: job.id,
        run: 1,
        status: 'FAILURE',
        error: { type: 'card_declined', message: 'card declined', code: 'card_declined', retryable: false },
      }),
    ]);
    expect(await stepsOf(job)).toEqual([
      'workflowExecutionStarted',
      'activityTaskScheduled',
      'activityTaskStarted',
      'activityTaskFailed',
      'markerRecorded',
      'workflowExecutionFailed',
    ]);
  });

  it('retry: the next attempt comes after the delay it asked for', async () => {
    await startWorker();
    const times: number[] = [];
    const job = await dispatch([
      async () => (times.push(Date.now()), { kind: 'retry', error, delayMs: 300 }),
      async () => (times.push(Date.now()), { kind: 'succeeded' }),
    ]);
    expect((await closeOf(job)).status).toBe('COMPLETED');
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(300);
    expect(attemptsOf(job.id).map(({ ref }) => ref.attempt)).toEqual([1, 2]);
    expect(lastWordsOf(job.id)).toEqual([]);
  });

  it('handed back, behind, or broken by infrastructure: the server repeats without a limit', async () => {
    await startWorker();
    const job = await dispatch([
      async () => ({ kind: 'handedBack', reason: 'shutdown' }),
      async () => ({ kind: 'behind' }),
      async () => {
        const { ApplicationFailure } = await import('@temporalio/common');
        throw ApplicationFailure.nonRetryable('PostgreSQL is away', 'database.unavailable');
      },
      succeed,
    ]);
    expect((await closeOf(job)).status).toBe('COMPLETED');
    expect(attemptsOf(job.id)).toHaveLength(4);
    expect(lastWordsOf(job.id)).toEqual([]);
  });

  it('refused: closes as completed without a last word', async () => {
    await startWorker();
    const job = await dispatch([async () => ({ kind: 'refused', why: 'run 2 exists' })]);
    expect(await closeOf(job)).toEqual({ status: 'COMPLETED', result: { verdict: 'refused', why: 'run 2 exists' } });
    expect(lastWordsOf(job.id)).toEqual([]);
  });

  it('not found: closes as failed without a last word', async () => {
    await startWorker();
    const job = await dispatch([async () => ({ kind: 'not_found' })]);
    expect((await closeOf(job)).status).toBe('FAILED');
    expect(lastWordsOf(job.id)).toEqual([]);
  });

  it('total timeout: FAILURE with job.time_limit, whether an attempt runs or waits for the next one', async () => {
    await startWorker();
    const [running, waiting] = await Promise.all([
      dispatch(
        [(host) => new Promise((resolve) => host.lost!.addEventListener('abort', () => resolve({ kind: 'handedBack', reason: 'lost' })))],
        { totalTimeoutMs: 6_000, heartbeatTimeoutMs: 3_000 },
      ),
      // The next attempt does not fit, so it ends at once.
      dispatch([async () => ({ kind: 'retry', error, delayMs: 60_000 })], { totalTimeoutMs: 30_000 }),
    ]);
    for (const job of [running, waiting]) {
      expect((await closeOf(job)).status).toBe('FAILED');
      expect(lastWordsOf(job.id)).toEqual([
        expect.objectContaining({ status: 'FAILURE', error: expect.objectContaining({ code: 'job.time_limit' }) }),
      ]);
    }
    expect(lastWordsOf(waiting.id)[0]!.error!.message).toContain('card declined');
    await until(() => attemptsOf(running.id)[0]!.lost!.aborted);
    expect(attemptsOf(running.id)[0]!.signal.aborted).toBe(false);
  });

  it('the last word outlives a PostgreSQL that is away', async () => {
    await startWorker();
    let calls = 0;
    finalize = async () => {
      if (++calls <= 6) throw new Error('PostgreSQL is away');
    };
    const job = await dispatch([async () => ({ kind: 'failed', error })]);
    expect((await closeOf(job)).status).toBe('FAILED');
    expect(calls).toBe(7);
    expect(lastWordsOf(job.id)).toHaveLength(1);
  });
});

describe('a job that is cancelled or revoked', () => {
  it('before a worker came: never runs, REVOKED by the last word', async () => {
    const job = await dispatch([succeed]);
    await engine.cancel(job, 'not needed');
    await startWorker();
    expect((await closeOf(job)).status).toBe('CANCELLED');
    expect(attemptsOf(job.id)).toEqual([]);
    expect(lastWordsOf(job.id)).toEqual([expect.objectContaining({ status: 'REVOKED', error: null })]);
  });

  it('while it runs: its signal says cancelled, REVOKED by the last word', async () => {
    await startWorker();
    const job = await dispatch([untilStopped({ kind: 'cancelled' })]);
    await until(() => attemptsOf(job.id).length);
    await engine.cancel(job, 'not needed');
    expect((await closeOf(job)).status).toBe('CANCELLED');
    expect(attemptsOf(job.id)[0]!.signal.reason).toMatchObject({ reason: 'cancelled' });
    expect(lastWordsOf(job.id)).toEqual([expect.objectContaining({ status: 'REVOKED' })]);
  });

  it('by its row alone: Temporal shows it as cancelled all the same', async () => {
    await startWorker();
    const job = await dispatch([async () => ({ kind: 'revoked' })]);
    expect((await closeOf(job)).status).toBe('CANCELLED');
    expect(lastWordsOf(job.id)).toEqual([expect.objectContaining({ status: 'REVOKED' })]);
  });

  it('while it waits for its next attempt', async () => {
    await startWorker();
    const job = await dispatch([async () => ({ kind: 'retry', error, delayMs: 60_000 })]);
    const pending = await until(async () => {
      const activity = await pendingOf(job);
      return activity?.attempt === 2 ? activity : null;
    });
    expect(Number(pending.currentRetryInterval!.seconds)).toBe(60);
    await engine.cancel(job, 'not needed');
    expect((await closeOf(job)).status).toBe('CANCELLED');
    expect(lastWordsOf(job.id)).toEqual([expect.objectContaining({ status: 'REVOKED' })]);
  });

  it.each<AttemptEnd>([
    { kind: 'handedBack', reason: 'shutdown' },
    { kind: 'retry', error, delayMs: 100 },
  ])('an attempt that only ends as $kind after the cancellation is not repeated', async (end) => {
    await startWorker();
    const job = await dispatch([untilStopped(end)]);
    await until(() => attemptsOf(job.id).length);
    await engine.cancel(job, 'not needed');
    expect((await closeOf(job)).status).toBe('CANCELLED');
    expect(attemptsOf(job.id)).toHaveLength(1);
    expect(lastWordsOf(job.id)).toEqual([expect.objectContaining({ status: 'REVOKED' })]);
  });

  it('one that fails by itself after the cancellation is a FAILURE', async () => {
    await startWorker();
    const job = await dispatch([untilStopped({ kind: 'failed', error })]);
    await until(() => attemptsOf(job.id).length);
    await engine.cancel(job, 'not needed');
    expect((await closeOf(job)).status).toBe('FAILED');
    expect(lastWordsOf(job.id)).toEqual([expect.objectContaining({ status: 'FAILURE' })]);
  });

  it('one that finishes all the same is a success', async () => {
    await startWorker();
    const job = await dispatch([untilStopped({ kind: 'succeeded' })]);
    await until(() => attemptsOf(job.id).length);
    await engine.cancel(job, 'not needed');
    expect((await closeOf(job)).status).toBe('COMPLETED');
  });
});

describe.skipIf(workflowSandbox)('heartbeats', () => {
  it('go out by themselves, and those of the handler are shown and reported', async () => {
    await startWorker();
    const raw: unknown[] = [];
    let finish = (): void => {};
    const job = await dispatch(
      [
        async (host, invoke) => {
          host.onRawHeartbeat!((details) => raw.push(details));
          await invoke(async () => {
            heartbeat({ page: 7 });
            await new Promise<void>((resolve) => (finish = resolve));
          });
          return { kind: 'succeeded' };
        },
      ],
      { heartbeatTimeoutMs: 15_000 },
    );
    const firstBeat = await until(async () => (await pendingOf(job))?.lastHeartbeatTime);
    await until(async () => Number((await pendingOf(job))!.lastHeartbeatTime!.seconds) >= Number(firstBeat.seconds) + 4);
    expect(JSON.parse(Buffer.from((await pendingOf(job))!.heartbeatDetails!.payloads![0]!.data!).toString())).toEqual({ page: 7 });
    finish();
    expect((await closeOf(job)).status).toBe('COMPLETED');
    expect(raw).toEqual([{ page: 7 }]);
    expect(attemptsOf(job.id)).toHaveLength(1);
  });

  it('a terminated execution is a notice, not a reason to stop', async () => {
    await startWorker();
    let finish = (): void => {};
    const job = await dispatch([() => new Promise((resolve) => (finish = () => resolve({ kind: 'succeeded' })))]);
    await until(() => attemptsOf(job.id).length);
    await engine.terminate(job, 'test');
    const [host] = attemptsOf(job.id) as [AttemptHost];
    await until(() => host.lost!.aborted);
    expect(host.signal.aborted).toBe(false);
    finish();
    expect((await closeOf(job)).status).toBe('TERMINATED');
    expect(lastWordsOf(job.id)).toEqual([]);
  });
});

describe.skipIf(workflowSandbox)('a worker', () => {
  it('that shuts down hands its attempts to the next one', async () => {
    const first = await startWorker({ drainTimeoutMs: 200 });
    const job = await dispatch([untilStopped({ kind: 'handedBack', reason: 'shutdown' }), succeed]);
    await until(() => attemptsOf(job.id).length);
    first.shutdown();
    await running;
    expect(first.state).toBe('stopped');
    expect(attemptsOf(job.id)[0]!.signal.reason).toMatchObject({ reason: 'shutdown' });
    await startWorker();
    expect((await closeOf(job)).status).toBe('COMPLETED');
    expect(attemptsOf(job.id)).toHaveLength(2);
  });

  it('shares its concurrency among its queues, and cancels what waits for a slot', async () => {
    const other = uniqueQueue();
    await startWorker({ queues: [queue, other], concurrency: 1, slots: new FairSlots(1) });
    let finish = (): void => {};
    const busy = await dispatch([() => new Promise((resolve) => (finish = () => resolve({ kind: 'succeeded' })))]);
    await until(() => attemptsOf(busy.id).length);
    const waiting = await dispatch([succeed], { queue: other });
    await until(async () => (await pendingOf(waiting))?.lastHeartbeatTime);
    expect(attemptsOf(waiting.id)).toEqual([]);
    await engine.cancel(waiting, 'not needed');
    expect((await closeOf(waiting)).status).toBe('CANCELLED');
    const next = await dispatch([succeed], { queue: other });
    finish();
    expect((await closeOf(next)).status).toBe('COMPLETED');
    expect(attemptsOf(waiting.id)).toEqual([]);
  });

  it('refuses an unknown namespace at once, and an absent Temporal when it shall not wait', async () => {
    const options = {
      taskQueues: [queue],
      concurrency: 1,
      activities: createJobActivities({ finalize: async () => {} }),
      interceptors: [],
      identity: 'test',
      log: silent,
      drainTimeoutMs: 0,
    };
    await expect(
      TemporalWorker.create({ ...options, settings: resolveTemporal({ address: temporalAddress(), namespace: 'nowhere' }, {}) }),
    ).rejects.toMatchObject({ code: 'temporal.namespace' });
    await expect(
      TemporalWorker.create({ ...options, settings: resolveTemporal({ address: '127.0.0.1:1' }, {}), wait: false }),
    ).rejects.toMatchObject({ code: 'temporal.unavailable', message: expect.stringContaining('Connection refused') });
  });

  it('that never ran can be closed, and shut down before it runs', async () => {
    const options = {
      settings: resolveTemporal({ address: temporalAddress() }, {}),
      taskQueues: [queue, uniqueQueue()],
      concurrency: 1,
      activities: createJobActivities({ finalize: async () => {} }),
      interceptors: [],
      identity: 'test',
      log: silent,
      drainTimeoutMs: 0,
    };
    const closed = await TemporalWorker.create(options);
    await closed.close();
    expect(closed.state).toBe('stopped');
    const unwanted = await TemporalWorker.create(options);
    unwanted.shutdown();
    await unwanted.run();
    expect(unwanted.state).toBe('stopped');
    const twice = { ...options, taskQueues: [queue, queue] };
    await expect(TemporalWorker.create(twice)).rejects.toThrow('overlapping');
  });

  it('waits visibly for a Temporal that is away, until it is told to stop', async () => {
    const lines: object[] = [];
    const stop = new AbortController();
    const warn = (fields: object) => void (lines.push(fields) === 2 && stop.abort(new Error('enough')));
    const log = { ...silent, warn };
    const settings = resolveTemporal({ address: '127.0.0.1:1' }, {});
    const options = {
      taskQueues: [queue],
      concurrency: 1,
      activities: createJobActivities({ finalize: async () => {} }),
      interceptors: [],
      identity: 'test',
      log,
      drainTimeoutMs: 0,
    };
    await expect(TemporalWorker.create({ ...options, settings, signal: stop.signal })).rejects.toThrow('enough');
    expect(lines).toEqual([
      expect.objectContaining({ address: '127.0.0.1:1', retryInMs: 500 }),
      expect.objectContaining({ retryInMs: 1_000 }),
    ]);
  });
});
