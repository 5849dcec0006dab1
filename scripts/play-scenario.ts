// Plays a scenario on a Temporal server: one job, what its attempts and its last word do, and a cancel or a crash when
// the scenario wants one. Which worker runs the job is the caller's.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { createJobActivities, mirrorInterceptor } from '../activities/index.ts';
import type { RunAttempt } from '../src/domain/attempt.ts';
import { workflowIdOf } from '../src/domain/identity.ts';
import type { DispatchRequest, Log } from '../src/domain/ports.ts';
import { resolveTemporal, TemporalConnection } from '../src/temporal/connection.ts';
import type { WorkflowEngine } from '../src/temporal/workflow-engine.ts';
import { TemporalWorker, type LaneWorkerOptions } from '../src/worker/temporal-worker.ts';
import type { Scenario, Stage } from './history-scenarios.ts';

export const JOB_TYPE = 'RecordedJob';
const DYING = '--dying-worker';
const TIMEOUT_MS = 30_000;
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

if (process.argv[2] === DYING) await workUntilKilled(process.argv[3]!, process.argv[4]!);

export interface Theatre {
  connection: TemporalConnection;
  engine: WorkflowEngine;
  queue: string;
}

export class ScenarioPlay {
  readonly scenario: Scenario;
  readonly job: DispatchRequest;
  readonly handle: WorkflowHandle;
  readonly #theatre: Theatre;
  #begun = 0;
  #lastWordFailures = 0;

  constructor(scenario: Scenario, theatre: Theatre) {
    this.scenario = scenario;
    this.#theatre = theatre;
    this.job = {
      jobType: JOB_TYPE,
      id: randomUUID(),
      run: 1,
      queue: theatre.queue,
      startAt: null,
      priority: null,
      heartbeatTimeoutMs: 30_000,
      totalTimeoutMs: null,
      ...scenario.request,
    };
    this.handle = theatre.connection.client.workflow.getHandle(workflowIdOf('', this.job));
  }

  /** Dispatches the job, before there is a worker. */
  async begin(): Promise<void> {
    const { connection, engine, queue } = this.#theatre;
    await engine.dispatch(this.job);
    if (this.scenario.firstWorkerDies) await dieAtWork(connection.settings.address, queue);
    await this.scenario.before?.(this.#stage);
  }

  /** Acts while a worker is at work; rejects when the job closes otherwise than its scenario says. */
  async end(): Promise<void> {
    const { name, closes, during } = this.scenario;
    await during?.(this.#stage);
    await this.handle.result().catch(() => undefined);
    const { status } = await this.handle.describe();
    if (status.name !== closes) throw new Error(`${name} closed as ${status.name}, not ${closes}`);
  }

  readonly runAttempt: RunAttempt = (host, invoke) => {
    const { attempts } = this.scenario;
    this.#begun = Math.max(this.#begun, host.ref.attempt);
    return attempts[Math.min(host.ref.attempt, attempts.length) - 1]!(host, invoke);
  };

  readonly finalize = async (): Promise<void> => {
    if (this.#lastWordFailures++ < (this.scenario.lastWordFailures ?? 0)) throw new Error('PostgreSQL is away');
  };

  get #stage(): Stage {
    const { name } = this.scenario;
    const waitingFor = async () => (await this.handle.describe()).raw.pendingActivities?.[0]?.attempt;
    return {
      engine: this.#theatre.engine,
      job: this.job,
      attemptBegan: (n) => until(`attempt ${n} of ${name} begins`, () => this.#begun >= n),
      attemptWaits: (n) => until(`attempt ${n} of ${name} waits`, async () => (await waitingFor()) === n),
    };
  }
}

/** What a worker for one play does. */
export interface Part extends Pick<ScenarioPlay, 'runAttempt' | 'finalize'> {
  lanes?: LaneWorkerOptions;
}

export async function startWorker({ connection, queue }: Pick<Theatre, 'connection' | 'queue'>, part: Part): Promise<TemporalWorker> {
  return TemporalWorker.create({
    settings: connection.settings,
    taskQueues: [queue],
    concurrency: 2,
    activities: createJobActivities({ finalize: part.finalize }),
    interceptors: [mirrorInterceptor({ runAttempt: part.runAttempt })],
    lanes: part.lanes ?? null,
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
  const runAttempt: RunAttempt = () => {
    process.stdout.write('began\n');
    return new Promise(() => {});
  };
  const connection = new TemporalConnection(resolveTemporal({ address, namespace: 'default' }, {}));
  const worker = await startWorker({ connection, queue }, { runAttempt, finalize: async () => undefined });
  await worker.run();
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + TIMEOUT_MS; !(await condition()); await sleep(50)) {
    if (Date.now() > deadline) throw new Error(`not within ${TIMEOUT_MS / 1_000} s: ${what}`);
  }
}
