// Executes a run of a job as one workflow. Ids and options cross, the job's data stays in its row.
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { WorkflowExecutionStatusName, WorkflowHandle } from '@temporalio/client';
import type { DispatchRequest, Execution, ExecutionStatus, RunRef } from '../domain/ports.ts';
import { ExecutionEngine, type FoundExecution, type ListAnswer } from './execution-engine.ts';
import type { TemporalCalls } from './temporal-calls.ts';

export class WorkflowEngine extends ExecutionEngine {
  constructor(calls: TemporalCalls, jobTypes: readonly string[]) {
    super(calls, 'Workflow', jobTypes);
  }

  async cancel(ref: RunRef, reason: string): Promise<void> {
    const { namespace } = this.calls.settings;
    const workflowExecution = { workflowId: this.idOf(ref) };
    await this.calls.unlessGone(() =>
      this.calls.client.workflowService.requestCancelWorkflowExecution({ namespace, workflowExecution, reason }),
    );
  }

  async describe(ref: RunRef): Promise<Execution> {
    const found = await this.calls.unlessGone(() => this.find(ref), 'aside');
    if (found === null) return { status: 'not_found' };
    const { status, runId } = found;
    return status === 'terminated' ? { status, ...(await this.#terminationOf(ref, runId)) } : { status };
  }

  /** Who terminated it, and why: the last event of its history says so. */
  async #terminationOf(ref: RunRef, runId: string): Promise<Pick<Execution, 'end'>> {
    const { namespace } = this.calls.settings;
    const execution = { workflowId: this.idOf(ref), runId };
    const answer = await this.calls.unlessGone(
      () => this.calls.client.workflowService.getWorkflowExecutionHistoryReverse({ namespace, execution, maximumPageSize: 1 }),
      'aside',
    );
    const event = answer?.history?.events?.[0]?.workflowExecutionTerminatedEventAttributes;
    return event ? { end: this.endOf(event.identity ?? '', event.reason ?? '') } : {};
  }

  protected override async start(request: DispatchRequest, deadlineMs: number): Promise<string | null> {
    const { applicationName } = this.calls;
    const options = {
      ...this.optionsOf(request),
      workflowId: this.idOf(request),
      // Any earlier execution of this run is the one that counts, open or closed. FAIL instead of USE_EXISTING, because
      // the SDK's start() does not tell a new execution from one that it found. (A repeated request whose first answer
      // was lost is recognised by the server and is no conflict.)
      workflowIdConflictPolicy: 'FAIL' as const,
      workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
      ...(applicationName === '' ? {} : { memo: { application: applicationName } }),
    };
    // Past the queue: that is past priorities, too.
    const isPlain = request.startAt === null && request.priority === null;
    const eagerly = isPlain ? this.calls.eagerFor(options.taskQueue, deadlineMs) : null;
    try {
      const handle = await (eagerly
        ? eagerly((client, isEager) =>
            client.workflow.start(request.jobType, { ...options, ...(isEager ? { requestEagerStart: true } : {}) }),
          )
        : this.calls.client.workflow.start(request.jobType, options));
      return handle.firstExecutionRunId;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
      throw error;
    }
  }

  protected override async find(ref: RunRef): Promise<FoundExecution> {
    const { runId, status } = await this.#handleOf(ref).describe();
    return { runId, status: statusOf(status.name) };
  }

  protected override end(ref: RunRef, reason: string): Promise<unknown> {
    return this.#handleOf(ref).terminate(reason);
  }

  protected override async list(page: Parameters<ExecutionEngine['list']>[0]): Promise<ListAnswer> {
    const { executions, nextPageToken } = await this.calls.client.workflowService.listWorkflowExecutions(page);
    return { executions: (executions ?? []).map(({ execution, closeTime }) => ({ id: execution?.workflowId, closeTime })), nextPageToken };
  }

  /** By workflow id alone: a reset in Temporal's UI continues the same run under another run id. */
  #handleOf(ref: RunRef): WorkflowHandle {
    return this.calls.client.workflow.getHandle(this.idOf(ref));
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
