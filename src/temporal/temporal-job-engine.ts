// Executes a run of a job as one workflow. Ids and options cross, the job's data stays in its row.
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { WorkflowExecutionStatusName, WorkflowHandle, WorkflowStartOptions } from '@temporalio/client';
import { taskQueueOf, workflowIdOf } from '../domain/identity.ts';
import type { Dispatched, DispatchRequest, ExecutionStatus, JobEngine, RunRef } from '../domain/ports.ts';
import type { WorkflowInput } from '../domain/workflow-input.ts';
import type { TemporalConnection } from './connection.ts';
import { isExecutionNotFound, unavailable } from './failures.ts';
import { Outage } from './outage.ts';

const DEADLINE_MS = 5_000;
/** While Temporal was away a moment ago, nobody shall wait long for the call that finds out whether it is back: one reconnect. */
const PROBE_DEADLINE_MS = 1_500;

export interface TemporalJobEngineOptions {
  /** Closed with the engine. */
  connection: TemporalConnection;
  /** `name` of the configuration: the first part of task queues. */
  applicationName: string;
  /** How long one call may take. @default 5_000 */
  deadlineMs?: number;
}

export class TemporalJobEngine implements JobEngine {
  readonly #connection: TemporalConnection;
  readonly #applicationName: string;
  readonly #deadlineMs: number;
  readonly #outage = new Outage();

  constructor({ connection, applicationName, deadlineMs = DEADLINE_MS }: TemporalJobEngineOptions) {
    this.#connection = connection;
    this.#applicationName = applicationName;
    this.#deadlineMs = deadlineMs;
  }

  async dispatch(request: DispatchRequest): Promise<Dispatched> {
    const started = await this.#startOrFind(request);
    // Retention may delete an execution between the two calls.
    const dispatched = started ?? (await this.#startOrFind(request));
    if (dispatched === null)
      throw unavailable(this.#connection.settings, `it neither starts nor finds workflow '${this.#workflowIdOf(request)}'`);
    return dispatched;
  }

  async cancel(ref: RunRef, reason: string): Promise<void> {
    const { namespace } = this.#connection.settings;
    const workflowExecution = { workflowId: this.#workflowIdOf(ref) };
    await this.#unlessGone(() => this.#client.workflowService.requestCancelWorkflowExecution({ namespace, workflowExecution, reason }));
  }

  async terminate(ref: RunRef, reason: string): Promise<void> {
    await this.#unlessGone(() => this.#handleOf(ref).terminate(reason));
  }

  async describe(ref: RunRef): Promise<ExecutionStatus> {
    const description = await this.#unlessGone(() => this.#handleOf(ref).describe());
    return description === null ? 'not_found' : statusOf(description.status.name);
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** `null` when there was an execution, but not any more. */
  async #startOrFind(request: DispatchRequest): Promise<Dispatched | null> {
    try {
      const handle = await this.#call(() => this.#client.workflow.start(request.jobType, this.#toStartOptions(request)));
      return { workflowId: handle.workflowId, runId: handle.firstExecutionRunId, outcome: 'started' };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const description = await this.#unlessGone(() => this.#handleOf(request).describe());
    if (description === null) return null;
    return {
      workflowId: description.workflowId,
      runId: description.runId,
      outcome: statusOf(description.status.name) === 'running' ? 'running' : 'closed',
    };
  }

  #toStartOptions(request: DispatchRequest): WorkflowStartOptions {
    const { id, run, queue, startAt, priority, heartbeatTimeoutMs, totalTimeoutMs } = request;
    const input: WorkflowInput = { v: 1, id, run, queue, heartbeatTimeoutMs, totalTimeoutMs };
    const startDelay = startAt === null ? 0 : Math.max(0, startAt.getTime() - Date.now());
    return {
      workflowId: this.#workflowIdOf(request),
      taskQueue: taskQueueOf(this.#applicationName, queue),
      args: [input],
      // Any earlier execution of this run is the one that counts, open or closed. FAIL instead of USE_EXISTING, because
      // the SDK's start() does not tell a new execution from one that it found. (A repeated request whose first answer
      // was lost is recognised by the server and is no conflict.)
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      ...(startDelay > 0 ? { startDelay } : {}),
      ...(priority === null ? {} : { priority: { priorityKey: priority } }),
      ...(this.#applicationName === '' ? {} : { memo: { application: this.#applicationName } }),
    };
  }

  get #client(): TemporalConnection['client'] {
    return this.#connection.client;
  }

  #workflowIdOf(ref: RunRef): string {
    return workflowIdOf(this.#applicationName, ref);
  }

  /** By workflow id alone: a reset in Temporal's UI continues the same run under another run id. */
  #handleOf(ref: RunRef): WorkflowHandle {
    return this.#client.workflow.getHandle(this.#workflowIdOf(ref));
  }

  #call<T>(call: () => Promise<T>): Promise<T> {
    return this.#outage.guard((isProbe) =>
      this.#connection.within(isProbe ? Math.min(PROBE_DEADLINE_MS, this.#deadlineMs) : this.#deadlineMs, call),
    );
  }

  async #unlessGone<T>(call: () => Promise<T>): Promise<T | null> {
    try {
      return await this.#call(call);
    } catch (error) {
      if (isExecutionNotFound(error)) return null;
      throw error;
    }
  }
}

function statusOf(name: WorkflowExecutionStatusName): ExecutionStatus {
  switch (name) {
    case 'COMPLETED':
      return 'completed';
    case 'FAILED':
      return 'failed';
    case 'CANCELLED':
      return 'cancelled';
    case 'TERMINATED':
      return 'terminated';
    case 'TIMED_OUT':
      return 'timed_out';
    // A paused workflow goes on, and so does one that continued as new.
    default:
      return 'running';
  }
}
