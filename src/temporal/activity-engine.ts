// Executes a run of a job as one standalone activity (server 1.32 or newer): no workflow around it, at half the cost.
// Where no attempt can say how it ended (a time limit, a cancellation or termination in Temporal before or while it
// ran), the reconciler has the last word.
import { ActivityExecutionAlreadyStartedError } from '@temporalio/client';
import type { ActivityExecutionDescription, ActivityExecutionStatus, ActivityHandle, ActivityOptions } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { taskQueueOf, workflowIdOf } from '../domain/identity.ts';
import type { Dispatched, DispatchRequest, Execution, ExecutionStatus, JobEngine, RunRef } from '../domain/ports.ts';
import { ATTEMPT_RETRY, ATTEMPT_TIME_MAX, type WorkflowInput } from '../domain/workflow-input.ts';
import { ExecutionLists, OWN_REASON, toDate, type ListPage } from './execution-lists.ts';
import { isAlreadyDone, unavailable } from './failures.ts';
import type { TemporalCalls } from './temporal-calls.ts';

export class ActivityEngine implements JobEngine {
  readonly lists: ExecutionLists;
  readonly #calls: TemporalCalls;

  constructor(calls: TemporalCalls, jobTypes: readonly string[]) {
    this.#calls = calls;
    const listPage: ListPage = async (query, pageSize, from) => {
      const { namespace } = calls.settings;
      const { executions, nextPageToken } = await calls.aside(() =>
        calls.client.workflowService.listActivityExecutions({ namespace, query, pageSize, ...(from ? { nextPageToken: from } : {}) }),
      );
      const found = (executions ?? []).map(({ activityId, closeTime }) => ({ id: activityId ?? '', closedAt: toDate(closeTime) }));
      return { found, next: nextPageToken?.length ? nextPageToken : null };
    };
    this.lists = new ExecutionLists({ applicationName: calls.applicationName, kind: 'Activity', jobTypes, listPage });
  }

  async dispatch(request: DispatchRequest): Promise<Dispatched> {
    const started = await this.#startOrFind(request);
    // Retention may delete an execution between the two calls.
    const dispatched = started ?? (await this.#startOrFind(request));
    if (dispatched === null) throw unavailable(this.#calls.settings, `it neither starts nor finds activity '${this.#idOf(request)}'`);
    return dispatched;
  }

  async cancel(ref: RunRef, reason: string): Promise<void> {
    try {
      await this.#calls.unlessGone(() => this.#handleOf(ref).cancel(reason));
    } catch (error) {
      if (!isAlreadyDone(error)) throw error; // it was asked before
    }
  }

  async terminate(ref: RunRef, reason: string): Promise<void> {
    await this.#calls.unlessGone(() => this.#handleOf(ref).terminate(`${OWN_REASON}${reason}`));
  }

  async describe(ref: RunRef): Promise<Execution> {
    const description = await this.#calls.unlessGone(() => this.#handleOf(ref).describe({ includeOutcome: true }), 'aside');
    if (description === null) return { status: 'not_found' };
    const status = statusOf(description.status);
    if (status === 'terminated') return { status, end: await endOf(description) };
    return (await endedAtTimeLimit(status, description))
      ? { status, timeLimitMs: description.scheduleToCloseTimeoutMs ?? null }
      : { status };
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  /** `null` when there was an execution, but not any more. */
  async #startOrFind(request: DispatchRequest): Promise<Dispatched | null> {
    const activityId = this.#idOf(request);
    try {
      const handle = await this.#calls.call(() => this.#calls.client.activity.start(request.jobType, this.#toOptions(request)));
      return { workflowId: activityId, runId: handle.runId ?? '', outcome: 'started' };
    } catch (error) {
      if (!(error instanceof ActivityExecutionAlreadyStartedError)) throw error;
    }
    const description = await this.#calls.unlessGone(() => this.#handleOf(request).describe());
    if (description === null) return null;
    const outcome = statusOf(description.status) === 'running' ? 'running' : 'closed';
    return { workflowId: activityId, runId: description.activityRunId, outcome };
  }

  #toOptions(request: DispatchRequest): ActivityOptions {
    const { id, run, queue, startAt, priority, heartbeatTimeoutMs, totalTimeoutMs } = request;
    const input: WorkflowInput = { v: 1, id, run, queue, heartbeatTimeoutMs, totalTimeoutMs };
    const startDelay = startAt === null ? 0 : Math.max(0, startAt.getTime() - Date.now());
    return {
      id: this.#idOf(request),
      taskQueue: taskQueueOf(this.#calls.applicationName, queue),
      args: [input],
      startToCloseTimeout: ATTEMPT_TIME_MAX,
      heartbeatTimeout: heartbeatTimeoutMs,
      ...(totalTimeoutMs === null ? {} : { scheduleToCloseTimeout: startDelay + totalTimeoutMs }),
      retry: ATTEMPT_RETRY,
      // As for workflows: any earlier execution of this run is the one that counts.
      idConflictPolicy: 'FAIL',
      idReusePolicy: 'REJECT_DUPLICATE',
      ...(startDelay > 0 ? { startDelay } : {}),
      ...(priority === null ? {} : { priority: { priorityKey: priority } }),
    };
  }

  #idOf(ref: RunRef): string {
    return workflowIdOf(this.#calls.applicationName, ref);
  }

  #handleOf(ref: RunRef): ActivityHandle {
    return this.#calls.client.activity.getHandle(this.#idOf(ref));
  }
}

/**
 * Whether the job's totalTimeout ended it: attempts have no limit of Temporal's. Where the time does not suffice for the
 * next attempt, Temporal closes it with the failure of the last one, which it would have repeated otherwise.
 */
async function endedAtTimeLimit(status: ExecutionStatus, description: ActivityExecutionDescription): Promise<boolean> {
  if (status !== 'failed') return status === 'timed_out';
  const failure = await description.getOutcomeFailure();
  return failure instanceof ApplicationFailure && failure.nonRetryable !== true;
}

/** Who terminated it is not told, only why. */
async function endOf(description: ActivityExecutionDescription): Promise<NonNullable<Execution['end']>> {
  const reason = (await description.getOutcomeFailure())?.message ?? '';
  return { by: '', reason, byThisLibrary: reason.startsWith(OWN_REASON) };
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
