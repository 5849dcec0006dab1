// Executes a run of a job as one workflow. Ids and options cross, the job's data stays in its row.
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { WorkflowExecutionStatusName, WorkflowHandle, WorkflowStartOptions } from '@temporalio/client';
import { parseWorkflowId, runKey, taskQueueOf, workflowIdOf } from '../domain/identity.ts';
import type { Dispatched, DispatchRequest, Execution, ExecutionListing, ExecutionStatus, JobEngine, RunRef } from '../domain/ports.ts';
import type { WorkflowInput } from '../domain/workflow-input.ts';
import type { TemporalConnection } from './connection.ts';
import { isExecutionNotFound, unavailable } from './failures.ts';
import { Outage } from './outage.ts';

const DEADLINE_MS = 5_000;
/** While Temporal was away a moment ago, nobody shall wait long for the call that finds out whether it is back: one reconnect. */
const PROBE_DEADLINE_MS = 1_500;
/** By which the library recognises what it terminated itself. */
const OWN_REASON = 'asyncjob: ';
const PAGE_SIZE = 1_000;
/** In one query: a workflow id has some 60 characters. */
const IDS_PER_QUERY = 100;

export interface TemporalJobEngineOptions {
  /** Closed with the engine. */
  connection: TemporalConnection;
  /** `name` of the configuration: the first part of task queues. */
  applicationName: string;
  /** How long one call may take. @default 5_000 */
  deadlineMs?: number;
}

export class TemporalJobEngine implements JobEngine, ExecutionListing {
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
    await this.#unlessGone(() => this.#handleOf(ref).terminate(`${OWN_REASON}${reason}`));
  }

  async describe(ref: RunRef): Promise<Execution> {
    const description = await this.#unlessGone(() => this.#handleOf(ref).describe());
    if (description === null) return { status: 'not_found' };
    const status = statusOf(description.status.name);
    return status === 'terminated' ? { status, ...(await this.#endOf(description)) } : { status };
  }

  async openAmong(refs: readonly RunRef[]): Promise<Set<string>> {
    const ids = refs.map((ref) => quoted(this.#workflowIdOf(ref)));
    const open = new Set<string>();
    for (let first = 0; first < ids.length; first += IDS_PER_QUERY) {
      const some = ids.slice(first, first + IDS_PER_QUERY);
      const { runs } = await this.#list(`ExecutionStatus = 'Running' and WorkflowId in (${some.join(', ')})`, some.length);
      for (const run of runs) open.add(runKey(run));
    }
    return open;
  }

  async endedSince(moment: Date): Promise<RunRef[]> {
    const { runs } = await this.#list(
      `ExecutionStatus in ('Terminated', 'Canceled', 'Failed', 'TimedOut') and CloseTime > '${moment.toISOString()}'${this.#ours()}`,
      PAGE_SIZE,
    );
    return runs;
  }

  openPage(from: Uint8Array | null): Promise<{ runs: RunRef[]; next: Uint8Array | null }> {
    return this.#list(`ExecutionStatus = 'Running'${this.#ours()}`, PAGE_SIZE, from);
  }

  /** Of an application with a name: others' executions in the namespace are not even asked for. */
  #ours(): string {
    return this.#applicationName === '' ? '' : ` and WorkflowId starts_with ${quoted(`${this.#applicationName}/`)}`;
  }

  async #list(query: string, pageSize: number, from: Uint8Array | null = null): Promise<{ runs: RunRef[]; next: Uint8Array | null }> {
    const { namespace } = this.#connection.settings;
    // Not through the outage's memory: a store of lists that is busy or away says nothing about starts.
    const { executions, nextPageToken } = await this.#connection.within(this.#deadlineMs, () =>
      this.#client.workflowService.listWorkflowExecutions({ namespace, query, pageSize, ...(from ? { nextPageToken: from } : {}) }),
    );
    const runs = (executions ?? []).flatMap(({ execution }) => parseWorkflowId(this.#applicationName, execution?.workflowId ?? '') ?? []);
    return { runs, next: nextPageToken?.length ? nextPageToken : null };
  }

  /** Who terminated it, and why: the last event of its history says so. */
  async #endOf({ workflowId, runId }: { workflowId: string; runId: string }): Promise<Pick<Execution, 'end'>> {
    const { namespace } = this.#connection.settings;
    const answer = await this.#unlessGone(() =>
      this.#client.workflowService.getWorkflowExecutionHistoryReverse({
        namespace,
        execution: { workflowId, runId },
        maximumPageSize: 1,
      }),
    );
    const event = answer?.history?.events?.[0]?.workflowExecutionTerminatedEventAttributes;
    if (!event) return {};
    const reason = event.reason ?? '';
    return { end: { by: event.identity ?? '', reason, byThisLibrary: reason.startsWith(OWN_REASON) } };
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

/** A text in a visibility query. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
