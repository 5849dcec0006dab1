// Executes a run of a job as one standalone activity (server 1.32 or newer): no workflow around it, at half the cost.
// Where no attempt can say how it ended (a time limit, a cancellation or termination in Temporal before or while it
// ran), the reconciler has the last word.
import { ActivityExecutionAlreadyStartedError } from '@temporalio/client';
import type { ActivityExecutionDescription, ActivityExecutionStatus, ActivityHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { DispatchRequest, Execution, ExecutionStatus, RunRef } from '../domain/ports.ts';
import { ATTEMPT_RETRY, ATTEMPT_TIME_MAX } from '../domain/workflow-input.ts';
import { ExecutionEngine, type FoundExecution, type ListAnswer } from './execution-engine.ts';
import { isAlreadyDone } from './failures.ts';
import type { TemporalCalls } from './temporal-calls.ts';

export class ActivityEngine extends ExecutionEngine {
  constructor(calls: TemporalCalls, jobTypes: readonly string[]) {
    super(calls, 'Activity', jobTypes);
  }

  async cancel(ref: RunRef, reason: string): Promise<void> {
    try {
      await this.calls.unlessGone(() => this.#handleOf(ref).cancel(reason));
    } catch (error) {
      if (!isAlreadyDone(error)) throw error; // it was asked before
    }
  }

  async describe(ref: RunRef): Promise<Execution> {
    const description = await this.calls.unlessGone(() => this.#handleOf(ref).describe({ includeOutcome: true }), 'aside');
    if (description === null) return { status: 'not_found' };
    const status = statusOf(description.status);
    // Who terminated it is not told, only why.
    if (status === 'terminated') return { status, end: this.endOf('', (await description.getOutcomeFailure())?.message ?? '') };
    if ((status !== 'failed' && status !== 'timed_out') || (await hasVerdict(description))) return { status };
    // Temporal would have gone on with the next attempt, unless it was asked to cancel, or the job's totalTimeout ended it:
    // attempts have no limit of Temporal's.
    if (description.canceledReason) return { status: 'cancelled' };
    return { status, timeLimitMs: description.scheduleToCloseTimeoutMs ?? null };
  }

  protected override async start(request: DispatchRequest): Promise<string | null> {
    const options = this.optionsOf(request);
    const { totalTimeoutMs, heartbeatTimeoutMs } = request;
    try {
      const handle = await this.calls.client.activity.start(request.jobType, {
        ...options,
        id: this.idOf(request),
        startToCloseTimeout: ATTEMPT_TIME_MAX,
        heartbeatTimeout: heartbeatTimeoutMs,
        ...(totalTimeoutMs === null ? {} : { scheduleToCloseTimeout: (options.startDelay ?? 0) + totalTimeoutMs }),
        retry: ATTEMPT_RETRY,
        // As for workflows: any earlier execution of this run is the one that counts.
        idConflictPolicy: 'FAIL',
        idReusePolicy: 'REJECT_DUPLICATE',
      });
      return handle.runId ?? '';
    } catch (error) {
      if (error instanceof ActivityExecutionAlreadyStartedError) return null;
      throw error;
    }
  }

  protected override async find(ref: RunRef): Promise<FoundExecution> {
    const { activityRunId, status } = await this.#handleOf(ref).describe();
    return { runId: activityRunId, status: statusOf(status) };
  }

  protected override end(ref: RunRef, reason: string): Promise<unknown> {
    return this.#handleOf(ref).terminate(reason);
  }

  protected override async list(page: Parameters<ExecutionEngine['list']>[0]): Promise<ListAnswer> {
    const { executions, nextPageToken } = await this.calls.client.workflowService.listActivityExecutions(page);
    return { executions: (executions ?? []).map(({ activityId, closeTime }) => ({ id: activityId, closeTime })), nextPageToken };
  }

  #handleOf(ref: RunRef): ActivityHandle {
    return this.calls.client.activity.getHandle(this.idOf(ref));
  }
}

/** Whether an attempt said that the job failed; otherwise its failure is one that Temporal repeats. */
async function hasVerdict(description: ActivityExecutionDescription): Promise<boolean> {
  const failure = await description.getOutcomeFailure();
  return failure instanceof ApplicationFailure && failure.nonRetryable === true;
}

function statusOf(status: ActivityExecutionStatus): ExecutionStatus {
  switch (status) {
    case 'COMPLETED':
      return 'completed';
    case 'FAILED':
      return 'failed';
    case 'CANCELED':
      return 'cancelled';
    case 'TERMINATED':
      return 'terminated';
    case 'TIMED_OUT':
      return 'timed_out';
    // A paused activity goes on.
    case 'RUNNING':
    case 'PAUSED':
      return 'running';
  }
}
