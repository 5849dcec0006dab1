// The one workflow that executes every job: one activity does the work, and when it did not succeed one last word
// goes to the row. Whether an attempt is repeated is not decided here but by the attempt itself (activities), so that
// a change of policy never changes a history. A change of the commands below needs `patched()`.
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  TimeoutFailure,
  proxyActivities,
  proxyLocalActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { ErrorRecord } from '../src/domain/errors.ts';
import { NOT_FOUND_FAILURE, REVOKED_FAILURE } from '../src/domain/failure-types.ts';
import { FINALIZE_ACTIVITY } from '../src/domain/workflow-input.ts';
import type { ActivityReceipt, FinalizeInput, WorkflowInput } from '../src/domain/workflow-input.ts';

/** Practically unlimited: the worker enforces the time limit of an attempt itself, and heartbeats find dead workers. */
const ATTEMPT_TIME_MAX = '3650 days';

interface LastWord {
  [FINALIZE_ACTIVITY](input: FinalizeInput): Promise<void>;
}

/** Workflow type = activity type = job type, so that lists and filters in Temporal's UI show job types. */
export async function jobWorkflow(input: WorkflowInput): Promise<ActivityReceipt> {
  try {
    return await runAttempts(input);
  } catch (cause) {
    if (isOfType(cause, NOT_FOUND_FAILURE)) throw cause;
    const revoked = isRevoked(cause);
    await CancellationScope.nonCancellable(() => finalize(input, revoked ? 'REVOKED' : 'FAILURE', cause));
    throw revoked ? new CancelledFailure('revoked') : ownFailure(cause);
  }
}

/** What the handler threw, so that Temporal's UI begins with it and not with "Activity task failed". */
function ownFailure(cause: unknown): unknown {
  return cause instanceof ActivityFailure && cause.cause instanceof ApplicationFailure ? cause.cause : cause;
}

async function runAttempts(input: WorkflowInput): Promise<ActivityReceipt> {
  const { workflowType, priority } = workflowInfo();
  const attempts = proxyActivities<Record<string, (input: WorkflowInput) => Promise<ActivityReceipt>>>({
    startToCloseTimeout: ATTEMPT_TIME_MAX,
    heartbeatTimeout: input.heartbeatTimeoutMs,
    ...(input.totalTimeoutMs === null ? {} : { scheduleToCloseTimeout: input.totalTimeoutMs }),
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    // Eager dispatch goes past the task queue, and thereby past priorities and fairness.
    allowEagerDispatch: priority?.priorityKey === undefined && priority?.fairnessKey === undefined,
    // The server only repeats, without a limit: lost workers, an unreachable PostgreSQL, deploys and pauses use up
    // nothing. An attempt that wants another delay, or no successor, says so in its failure.
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '10 seconds' },
  });
  return attempts[workflowType]!(input);
}

/**
 * Revoked: the row says so, or Temporal was asked to cancel and the attempt gave no verdict of its own. A worker that
 * dies, hands back or fails after the cancel was requested is not repeated by the server; that is no FAILURE.
 */
function isRevoked(cause: unknown): boolean {
  if (isOfType(cause, REVOKED_FAILURE)) return true;
  return CancellationScope.current().consideredCancelled && !hasVerdict(cause);
}

/** Whether the attempt said that the job failed. Not `retryState`: after a cancel request that is CANCEL_REQUESTED for every failure. */
function hasVerdict(cause: unknown): boolean {
  return cause instanceof ActivityFailure && cause.cause instanceof ApplicationFailure && cause.cause.nonRetryable === true;
}

async function finalize(input: WorkflowInput, status: FinalizeInput['status'], cause: unknown): Promise<void> {
  const { workflowType: jobType, runId } = workflowInfo();
  const error = status === 'REVOKED' ? null : toErrorRecord(cause, input);
  const lastWord: FinalizeInput = { jobType, id: input.id, run: input.run, runId, status, error };
  try {
    // A local activity costs no round trip. Bounded by attempts: scheduleToClose of local activities is not reliable.
    await proxyLocalActivities<LastWord>({
      startToCloseTimeout: '5 seconds',
      retry: { initialInterval: '200 milliseconds', maximumAttempts: 4 },
    })[FINALIZE_ACTIVITY](lastWord);
  } catch {
    await proxyActivities<LastWord>({
      startToCloseTimeout: '30 seconds',
      retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
    })[FINALIZE_ACTIVITY](lastWord);
  }
}

function toErrorRecord(cause: unknown, input: WorkflowInput): ErrorRecord {
  const failure = cause instanceof ActivityFailure && cause.cause !== undefined ? cause.cause : cause;
  // The server reports the last failure, not a timeout, when the time does not suffice for another attempt.
  const isOutOfTime =
    (cause instanceof ActivityFailure && cause.retryState === 'TIMEOUT') ||
    (failure instanceof TimeoutFailure && failure.timeoutType === 'SCHEDULE_TO_CLOSE');
  if (isOutOfTime && !hasVerdict(cause)) {
    const last = failure instanceof TimeoutFailure ? '' : `; the last attempt failed: ${messageOf(failure)}`;
    return {
      type: 'TimeoutError',
      message: `the job did not end within its totalTimeout of ${input.totalTimeoutMs ?? '?'} ms${last}`,
      code: 'job.time_limit',
      retryable: false,
    };
  }
  const type = failure instanceof ApplicationFailure ? failure.type : undefined;
  const name = failure instanceof Error ? failure.name : 'Error';
  return { type: type ?? name, message: messageOf(failure), code: type ?? undefined, retryable: false };
}

function messageOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}

function isOfType(cause: unknown, type: string): boolean {
  return cause instanceof ActivityFailure && cause.cause instanceof ApplicationFailure && cause.cause.type === type;
}
