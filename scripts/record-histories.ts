// Records the histories that test/contract/histories.test.ts replays: the generic workflow of this version, on a real
// development server, in every scenario. `npm run histories` writes test/contract/histories/<version>/, once per
// version; histories of a released version never change. `npm run histories -- --again` replaces those of a version
// that is still being made.
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createJobActivities, createLaneActivities, mirrorInterceptor } from '../activities/index.ts';
import { startTemporal } from '../src/dev/index.ts';
import { findTemporalCli } from '../src/dev/temporal-cli.ts';
import type { RunAttempt } from '../src/domain/attempt.ts';
import { workflowIdOf } from '../src/domain/identity.ts';
import { laneTaskQueueOf, laneWorkflowIdOf, type LaneEnd } from '../src/domain/lane.ts';
import type { DispatchRequest, Log } from '../src/domain/ports.ts';
import { resolveTemporal, TemporalConnection } from '../src/temporal/connection.ts';
import { startLane } from '../src/temporal/lane-starter.ts';
import { TemporalCalls } from '../src/temporal/temporal-calls.ts';
import { WorkflowEngine } from '../src/temporal/workflow-engine.ts';
import { VERSION } from '../src/version.ts';
import { TemporalWorker, type LaneWorkerOptions } from '../src/worker/temporal-worker.ts';
import { SCENARIOS, type Scenario, type Stage } from './history-scenarios.ts';

const root = path.resolve(import.meta.dirname, '..');
const JOB_TYPE = 'RecordedJob';
const DYING = '--dying-worker';
const TIMEOUT_MS = 30_000;
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

if (process.argv[2] === DYING) await workUntilKilled(process.argv[3]!, process.argv[4]!);
else await record(process.argv.includes('--again'));

async function record(again: boolean): Promise<void> {
  const folder = path.join(root, 'test/contract/histories', VERSION);
  if (existsSync(folder) && !again) {
    console.error(
      `${path.relative(root, folder)} is there already. A released version keeps its histories; for one that is not, add -- --again.`,
    );
    process.exit(1);
  }
  const cli = await findTemporalCli();
  const server = await startTemporal({ cli: cli.path, ui: false });
  const connection = new TemporalConnection(resolveTemporal({ address: server.address, namespace: 'default' }, {}));
  const engine = new WorkflowEngine(new TemporalCalls(connection, ''), []);
  try {
    const histories: [string, string][] = [];
    for (const scenario of SCENARIOS) {
      const workflowId = await (scenario.lane ? playLane : play)(scenario, { address: server.address, connection, engine });
      histories.push([scenario.name, await showHistory(cli.path, server.address, workflowId)]);
      console.log(`${scenario.name}: ${scenario.closes}`);
    }
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const [name, json] of histories) writeFileSync(path.join(folder, `${name}.json`), json);
  } finally {
    await engine.close();
    await server.stop();
  }
  console.log(`Recorded ${SCENARIOS.length} histories in ${path.relative(root, folder)}.`);
}

interface Servers {
  address: string;
  connection: TemporalConnection;
  engine: WorkflowEngine;
}

/** Runs one job to its end; returns its workflow id. */
async function play(scenario: Scenario, { address, connection, engine }: Servers): Promise<string> {
  const job: DispatchRequest = {
    jobType: JOB_TYPE,
    id: randomUUID(),
    run: 1,
    queue: scenario.name,
    startAt: null,
    priority: null,
    heartbeatTimeoutMs: 30_000,
    totalTimeoutMs: null,
    ...scenario.request,
  };
  const workflowId = workflowIdOf('', job);
  const handle = connection.client.workflow.getHandle(workflowId);
  let begun = 0;
  const runAttempt: RunAttempt = (host, invoke) => {
    begun = Math.max(begun, host.ref.attempt);
    return scenario.attempts[Math.min(host.ref.attempt, scenario.attempts.length) - 1]!(host, invoke);
  };
  const stage: Stage = {
    engine,
    job,
    attemptBegan: (n) => until(`attempt ${n} of ${scenario.name} begins`, () => begun >= n),
    attemptWaits: (n) =>
      until(`attempt ${n} of ${scenario.name} waits`, async () => (await handle.describe()).raw.pendingActivities?.[0]?.attempt === n),
  };
  await engine.dispatch(job);
  if (scenario.firstWorkerDies) await dieAtWork(address, job.queue);
  await scenario.before?.(stage);
  const worker = await startWorker(address, job.queue, runAttempt, scenario.lastWordFailures);
  const running = worker.run();
  try {
    await scenario.during?.(stage);
    await handle.result().catch(() => undefined);
    const { status } = await handle.describe();
    if (status.name !== scenario.closes) throw new Error(`${scenario.name} closed as ${status.name}, not ${scenario.closes}`);
  } finally {
    worker.shutdown();
    await running;
  }
  return workflowId;
}

/** Runs a lane to its end; returns its workflow id. */
async function playLane({ name, closes, lane: why = 'empty' }: Scenario, { address, connection }: Servers): Promise<string> {
  const lane = { jobType: JOB_TYPE, queue: name, worker: 'recorder' };
  const workflowId = laneWorkflowIdOf('', lane, 1);
  const handle = connection.client.workflow.getHandle(workflowId);
  const activities = createLaneActivities({
    async serve(_input, { onStop }) {
      if (why === 'empty') return { jobs: 3, why };
      const stopped = new Promise<LaneEnd>((resolve) => onStop(resolve));
      await handle.cancel();
      return { jobs: 3, why: await stopped };
    },
  });
  await startLane(connection, '', lane, 1);
  const lanes = { taskQueue: laneTaskQueueOf('', lane.worker), activities, activitiesMax: 1 };
  const worker = await startWorker(address, name, () => Promise.reject(new Error('a lane has no attempts')), 0, lanes);
  const running = worker.run();
  try {
    await handle.result();
    const { status } = await handle.describe();
    if (status.name !== closes) throw new Error(`${name} closed as ${status.name}, not ${closes}`);
  } finally {
    worker.shutdown();
    await running;
  }
  return workflowId;
}

async function startWorker(
  address: string,
  queue: string,
  runAttempt: RunAttempt,
  lastWordFailures = 0,
  lanes: LaneWorkerOptions | null = null,
): Promise<TemporalWorker> {
  let failures = 0;
  return TemporalWorker.create({
    settings: resolveTemporal({ address, namespace: 'default' }, {}),
    taskQueues: [queue],
    concurrency: 2,
    activities: createJobActivities({
      finalize: async () => {
        if (failures++ < lastWordFailures) throw new Error('PostgreSQL is away');
      },
    }),
    interceptors: [mirrorInterceptor({ runAttempt })],
    lanes,
    identity: 'asyncjob recorder',
    log: silent,
    drainTimeoutMs: 500,
  });
}

/** Has a worker process begin the first attempt and kills it. */
async function dieAtWork(address: string, queue: string): Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename, DYING, address, queue], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('exit', (code) => reject(new Error(`the worker that should die ended by itself: ${code}`)));
    });
  } finally {
    child.kill('SIGKILL');
  }
}

async function workUntilKilled(address: string, queue: string): Promise<void> {
  const worker = await startWorker(address, queue, () => {
    process.stdout.write('began\n');
    return new Promise(() => {});
  });
  await worker.run();
}

/** As `temporal workflow show -o json` gives it, without what is this machine's. */
async function showHistory(cli: string, address: string, workflowId: string): Promise<string> {
  const args = ['workflow', 'show', '--workflow-id', workflowId, '--address', address, '--namespace', 'default', '--output', 'json'];
  const { stdout } = await promisify(execFile)(cli, args, { maxBuffer: 10_000_000 });
  return `${stdout
    .replaceAll(new RegExp(`\\b\\d+@${hostname().replaceAll('.', '\\.')}`, 'g'), 'client')
    .replaceAll(hostname(), 'host')
    .replaceAll(`file://${root}/`, '')
    .replaceAll(`${root}/`, '')
    .trim()}\n`;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + TIMEOUT_MS; !(await condition()); await sleep(50)) {
    if (Date.now() > deadline) throw new Error(`not within ${TIMEOUT_MS / 1_000} s: ${what}`);
  }
}
