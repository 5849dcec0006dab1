// Executes a run of a job as one workflow. Ids and options cross, the job's data stays in its row.
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { WorkflowExecutionStatusName, WorkflowHandle, WorkflowStartOptions } from '@temporalio/client';
import { taskQueueOf, workflowIdOf } from '../domain/identity.ts';
import type { Dispatched, DispatchRequest, Execution, ExecutionStatus, JobEngine, RunRef } from '../domain/ports.ts';
import type { WorkflowInput } from '../domain/workflow-input.ts';
import { ExecutionLists, OWN_REASON, toDate, type ListPage } from './execution-lists.ts';
import { unavailable } from './failures.ts';
import type { TemporalCalls } from './temporal-calls.ts';

export class WorkflowEngine implements JobEngine {
  readonly lists: ExecutionLists;
  readonly #calls: TemporalCalls;

  constructor(calls: TemporalCalls, jobTypes: readonly string[]) {
    this.#calls = calls;
    const listPage: ListPage = async (query, pageSize, from) => {
      const { namespace } = calls.settings;
      const { executions, nextPageToken } = await calls.aside(() =>
        calls.client.workflowService.listWorkflowExecutions({ namespace, query, pageSize, ...(from ? { nextPageToken: from } : {}) }),
      );
      const found = (executions ?? []).map(({ execution, closeTime }) => ({
        id: execution?.workflowId ?? '',
        closedAt: toDate(closeTime),
      }));
      return { found, next: nextPageToken?.length ? nextPageToken : null };
    };
    this.lists = new ExecutionLists({ applicationName: calls.applicationName, kind: 'Workflow', jobTypes, listPage });
  }

  async dispatch(request: DispatchRequest): Promise<Dispatched> {
    const started = await this.#startOrFind(request);
    // Retention may delete an execution between the two calls.
    const dispatched = started ?? (await this.#startOrFind(request));
    if (dispatched === null)
      throw unavailable(this.#calls.settings, `it neither starts nor finds workflow '${this.#workflowIdOf(request)}'`);
    return dispatched;
  }

  async cancel(ref: RunRef, reason: string): Promise<void> {
    const { namespace } = this.#calls.settings;
    const workflowExecution = { workflowId: this.#workflowIdOf(ref) };
    await this.#calls.unlessGone(() =>
      this.#calls.client.workflowService.requestCancelWorkflowExecution({ namespace, workflowExecution, reason }),
    );
  }

  async terminate(ref: RunRef, reason: string): Promise<void> {
    await this.#calls.unlessGone(() => this.#handleOf(ref).terminate(`${OWN_REASON}${reason}`));
  }

  async describe(ref: RunRef): Promise<Execution> {
    const description = await this.#calls.unlessGone(() => this.#handleOf(ref).describe(), 'aside');
    if (description === null) return { status: 'not_found' };
    const status = statusOf(description.status.name);
    return status === 'terminated' ? { status, ...(await this.#endOf(description)) } : { status };
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  /** Who terminated it, and why: the last event of its history says so. */
  async #endOf({ workflowId, runId }: { workflowId: string; runId: string }): Promise<Pick<Execution, 'end'>> {
    const { namespace } = this.#calls.settings;
    const execution = { workflowId, runId };
    const answer = await this.#calls.unlessGone(
      () => this.#calls.client.workflowService.getWorkflowExecutionHistoryReverse({ namespace, execution, maximumPageSize: 1 }),
      'aside',
    );
    const event = answer?.history?.events?.[0]?.workflowExecutionTerminatedEventAttributes;
    if (!event) return {};
    const reason = event.reason ?? '';
    return { end: { by: event.identity ?? '', reason, byThisLibrary: reason.startsWith(OWN_REASON) } };
  }

  /** `null` when there was an execution, but not any more. */
  async #startOrFind(request: DispatchRequest): Promise<Dispatched | null> {
    const { client } = this.#calls;
    try {
      const handle = await this.#calls.call(() => client.workflow.start(request.jobType, this.#toStartOptions(request)));
      return { workflowId: handle.workflowId, runId: handle.firstExecutionRunId, outcome: 'started' };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const description = await this.#calls.unlessGone(() => this.#handleOf(request).describe());
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
      taskQueue: taskQueueOf(this.#calls.applicationName, queue),
      args: [input],
      // Any earlier execution of this run is the one that counts, open or closed. FAIL instead of USE_EXISTING, because
      // the SDK's start() does not tell a new execution from one that it found. (A repeated request whose first answer
      // was lost is recognised by the server and is no conflict.)
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      ...(startDelay > 0 ? { startDelay } : {}),
      ...(priority === null ? {} : { priority: { priorityKey: priority } }),
      ...(this.#calls.applicationName === '' ? {} : { memo: { application: this.#calls.applicationName } }),
    };
  }

  #workflowIdOf(ref: RunRef): string {
    return workflowIdOf(this.#calls.applicationName, ref);
  }

  /** By workflow id alone: a reset in Temporal's UI continues the same run under another run id. */
  #handleOf(ref: RunRef): WorkflowHandle {
    return this.#calls.client.workflow.getHandle(this.#workflowIdOf(ref));
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
