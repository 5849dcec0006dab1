// Workers with and without the SDK's sandbox serve the same queues: each goes on with what the other one began, in every
// scenario, and either replays what came of it.
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createJobActivities, createLaneActivities, mirrorInterceptor } from '../../activities/index.ts';
import { SCENARIOS } from '../../scripts/history-scenarios.ts';
import { ScenarioPlay } from '../../scripts/play-scenario.ts';
import { LANE, type LaneInput } from '../../src/domain/lane.ts';
import type { Log } from '../../src/domain/ports.ts';
import { resolveTemporal, TemporalConnection } from '../../src/temporal/connection.ts';
import { TemporalCalls } from '../../src/temporal/temporal-calls.ts';
import { WorkflowEngine } from '../../src/temporal/workflow-engine.ts';
import { installRuntime } from '../../src/worker/temporal-runtime.ts';
import { UnsandboxedWorker } from '../../src/worker/unsandboxed-worker.ts';
import { loadWorkflowBundle } from '../../src/worker/workflow-bundle.ts';
import { temporalAddress, uniqueQueue } from '../support/servers.ts';
import { until } from '../support/until.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const KINDS = { with: Worker, without: UnsandboxedWorker };
/** How a worker dies is no matter of its sandbox; a lane has a test of its own. */
const scenarios = SCENARIOS.filter(({ firstWorkerDies, lane }) => !firstWorkerDies && lane === undefined);

let connection: TemporalConnection;
let engine: WorkflowEngine;
const natives: NativeConnection[] = [];
beforeAll(async () => {
  installRuntime(silent);
  connection = new TemporalConnection(resolveTemporal({ address: temporalAddress(), namespace: 'default' }, {}));
  engine = new WorkflowEngine(new TemporalCalls(connection, ''), []);
});
afterAll(async () => {
  for (const native of natives) await native.close();
  await engine?.close();
});

async function connect(): Promise<NativeConnection> {
  const native = await NativeConnection.connect({ address: temporalAddress() });
  natives.push(native);
  return native;
}

/** What a handler finds of the process that it runs in. */
function globalsOfProcess(): unknown[] {
  const { Date, setTimeout, clearTimeout, WeakRef, FinalizationRegistry, console } = globalThis;
  const names = Object.getOwnPropertyNames(globalThis);
  return [Date, Date.now, Math.random, setTimeout, clearTimeout, WeakRef, FinalizationRegistry, console, Error.prepareStackTrace, ...names];
}

async function serveLane({ jobType }: LaneInput) {
  if (jobType === 'FailingLane') throw new Error('no lane');
  return { jobs: 3, why: 'empty' as const };
}

it.concurrent.each([
  ['with', 'without'],
  ['without', 'with'],
] as const)('what a worker %s the sandbox began, one %s it ends', async (one, other) => {
  const [First, Second] = [KINDS[one], KINDS[other]];
  const queue = uniqueQueue();
  const plays = scenarios.map((scenario) => new ScenarioPlay(scenario, { connection, engine, queue }));
  const playOf = (id: string) => plays.find(({ job }) => job.id === id)!;
  const globals = new Set<unknown>();
  const options: WorkerOptions = {
    connection: await connect(),
    taskQueue: queue,
    workflowBundle: await loadWorkflowBundle(),
    activities: createJobActivities({ finalize: ({ id }) => playOf(id).finalize() }),
    interceptors: {
      activity: [
        mirrorInterceptor({
          runAttempt(host, invoke) {
            globalsOfProcess().forEach((each) => globals.add(each));
            return playOf(host.ref.id).runAttempt(host, invoke);
          },
        }),
      ],
    },
    maxHeartbeatThrottleInterval: '1 second',
    defaultHeartbeatThrottleInterval: '1 second',
    shutdownForceTime: '2 seconds',
  };
  const startLane = (jobType: string) => {
    const input: LaneInput = { v: 1, jobType, queue, workerTaskQueue: `${queue}/lane` };
    return connection.client.workflow.start(LANE, { taskQueue: queue, workflowId: `${queue}/${jobType}`, args: [input] });
  };

  for (const play of plays) await play.begin();
  const lanes = await Promise.all([startLane('Lane'), startLane('FailingLane')]);
  const handles = [...plays.map(({ handle }) => handle), ...lanes];
  const first = await First.create({ ...options, enableNonLocalActivities: false, identity: 'first' });
  await first.runUntil(async () => {
    for (const handle of handles) {
      await until(async () => (await handle.fetchHistory()).events!.some((event) => event.workflowTaskCompletedEventAttributes));
    }
  });

  const expected = new Set(globalsOfProcess());
  const second = await Second.create({ ...options, identity: 'second' });
  const laneWorker = await Worker.create({
    connection: options.connection!,
    taskQueue: `${queue}/lane`,
    activities: createLaneActivities({ serve: serveLane }),
  });
  const laneRunning = laneWorker.run();
  await second.runUntil(async () => {
    await Promise.all(plays.map((play) => play.end()));
    await expect(lanes[0].result()).resolves.toEqual({ jobs: 3, why: 'empty' });
    await expect(lanes[1].result()).rejects.toMatchObject({ cause: { cause: { message: 'no lane' } } });
  });
  laneWorker.shutdown();
  await laneRunning;

  const histories = await Promise.all(
    handles.map(async (handle) => ({ workflowId: handle.workflowId, history: await handle.fetchHistory() })),
  );
  const handedOver = histories.filter(({ history }) => {
    const hands = history.events!.flatMap(({ workflowTaskCompletedEventAttributes: task }) => task?.identity ?? []);
    return hands.includes('first') && hands.includes('second');
  });
  // All but those that were terminated, cancelled before they began, or whose time was over by then.
  expect(handedOver.length).toBeGreaterThanOrEqual(histories.length - 4);
  for (const kind of [First, Second]) {
    const results: string[] = [];
    for await (const { workflowId, error } of kind.runReplayHistories({ workflowBundle: options.workflowBundle! }, histories)) {
      results.push(`${workflowId}: ${error?.message ?? 'ok'}`);
    }
    expect(results).toEqual(handles.map(({ workflowId }) => `${workflowId}: ok`));
  }
  expect(globals).toEqual(expected);
});
