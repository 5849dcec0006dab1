// The activity interceptor that makes a Temporal activity an attempt of a job: it gives the attempt its host (heartbeats,
// stop reasons, slots) and tells Temporal how the attempt ended. What happens to the row is `runAttempt`'s business.
import { CompleteAsyncError, type Context } from '@temporalio/activity';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { AttemptStopped, endOfUnbegun } from '../src/domain/attempt.ts';
import type { AttemptEnd, AttemptHost, RunAttempt, StopReason } from '../src/domain/attempt.ts';
import { REVOKED_FAILURE } from '../src/domain/failure-types.ts';
import type { AttemptRef } from '../src/domain/ports.ts';
import type { FinalizeInput, WorkflowInput } from '../src/domain/workflow-input.ts';
import { beginAttempt } from './begun-attempts.ts';
import { startHeartbeats } from './heartbeats.ts';
import { reportAttemptEnd, reportBrokenAttempt } from './report-attempt-end.ts';

/**
 * A shared limit on attempts. `acquire` waits in line and resolves with the release; it rejects when `signal` aborts, with
 * its reason, and with an AttemptStopped once no attempt shall begin any more.
 */
export interface AttemptSlots {
  acquire(signal: AbortSignal): Promise<() => void>;
}

export interface MirrorInterceptorDeps {
  runAttempt: RunAttempt;
  /** Which activities are ours; by default those whose only argument has the shape of a WorkflowInput. */
  isJob?(activityType: string, input: unknown): boolean;
  /** Writes the last word where no workflow does: around a standalone activity. */
  finalize?(input: FinalizeInput): Promise<void>;
  /** Taken before an attempt asks its row; without it the worker's own limit is the only one. */
  slots?: AttemptSlots;
}

/** Shorter than a worker waits at its end for attempts that were stopped. */
const CALL_DEADLINE_MS = 4_000;

/** Activities that an interceptor of ours has taken: two registrations (plugins) must not run an attempt twice. */
const taken = new WeakSet<Context>();

/** For `Worker.create({ interceptors: { activity: [mirrorInterceptor(deps)] } })`, together with `createJobActivities()`. */
export function mirrorInterceptor(deps: MirrorInterceptorDeps): ActivityInterceptorsFactory {
  return (context) => {
    const { isLocal, activityType } = context.info;
    if (isLocal || activityType.startsWith('asyncjob.')) return {};
    return {
      inbound: {
        async execute(input, next) {
          const argument = input.args[0];
          if (taken.has(context) || !isWorkflowInput(argument) || deps.isJob?.(activityType, argument) === false) return next(input);
          taken.add(context);
          return runAsAttempt(deps, context, argument, (runHandler) => {
            beginAttempt(context, runHandler);
            return next(input);
          });
        },
      },
    };
  };
}

async function runAsAttempt(
  deps: MirrorInterceptorDeps,
  context: Context,
  input: WorkflowInput,
  invoke: Parameters<RunAttempt>[1],
): Promise<unknown> {
  // Heartbeats go on until the outcome is on its way, also while waiting for a slot, for the row or for PostgreSQL.
  using heartbeats = startHeartbeats(context);
  const host = hostOf(context, input, heartbeats);
  let end: AttemptEnd;
  try {
    end = await runInSlot(deps, host, invoke);
  } catch (error) {
    throw reportBrokenAttempt(error);
  }
  if (context.info.inWorkflow) {
    if (end.kind === 'revoked') await askToCancel(context);
    return reportAttemptEnd(end);
  }
  // Around a standalone activity no workflow has the last word.
  if (end.kind === 'cancelled') await lastWord(deps, context, host.ref);
  if (end.kind === 'revoked' && (await reportCancelled(context))) throw new CompleteAsyncError();
  return reportAttemptEnd(end);
}

async function runInSlot(deps: MirrorInterceptorDeps, host: AttemptHost, invoke: Parameters<RunAttempt>[1]): Promise<AttemptEnd> {
  if (deps.slots === undefined) return deps.runAttempt(host, invoke);
  let release: () => void;
  try {
    release = await deps.slots.acquire(host.signal);
  } catch (error) {
    // Nothing has begun, so there is nothing to write: the row is PENDING.
    if (error instanceof AttemptStopped) return endOfUnbegun(error.reason);
    throw error;
  }
  try {
    return await deps.runAttempt(host, invoke);
  } finally {
    release();
  }
}

function hostOf(context: Context, input: WorkflowInput, heartbeats: ReturnType<typeof startHeartbeats>): AttemptHost {
  const { info, cancellationSignal } = context;
  const stop = new AbortController();
  const lost = new AbortController();
  const follow = (): void => {
    const reason = stopReasonOf(context);
    if (reason === null) lost.abort();
    else stop.abort(new AttemptStopped(reason));
  };
  if (cancellationSignal.aborted) follow();
  else cancellationSignal.addEventListener('abort', follow, { once: true });
  return {
    ref: {
      jobType: info.activityType,
      id: input.id,
      run: input.run,
      attempt: info.attempt,
      runId: info.workflowExecution?.runId ?? info.activityRunId ?? '',
    },
    queue: input.queue,
    signal: stop.signal,
    lost: lost.signal,
    heartbeat: heartbeats.beat,
    onRawHeartbeat: heartbeats.onRaw,
    info,
  };
}

/** `null`: Temporal has given the attempt up (timed out, not found), which is no reason to stop while the row names it. */
function stopReasonOf(context: Context): StopReason | null {
  const details = context.cancellationDetails;
  if (details?.notFound || details?.timedOut) return null;
  if (details?.cancelRequested) return 'cancelled';
  if (details?.workerShutdown) return 'shutdown';
  if (details?.paused || details?.reset) return 'paused';
  return null;
}

/** The job was cancelled in Temporal; what cannot be written now, the reconciler does. */
async function lastWord({ finalize }: MirrorInterceptorDeps, { log }: Context, { jobType, id, run, runId }: AttemptRef): Promise<void> {
  try {
    await finalize?.({ jobType, id, run, runId, status: 'REVOKED', error: null });
  } catch (error) {
    log.debug('a cancelled job could not be made REVOKED yet', { error });
  }
}

/**
 * The row was revoked before Temporal heard of it. A workflow closes as cancelled only if its cancellation was
 * requested, so request it: the request is in the history before the attempt's failure. Without it the workflow closes
 * as failed, which changes nothing on the row.
 */
async function askToCancel({ cancellationDetails, client, info, log }: Context): Promise<void> {
  const { workflowExecution: workflow } = info;
  if (cancellationDetails?.cancelRequested || !workflow) return;
  try {
    await client.withDeadline(Date.now() + CALL_DEADLINE_MS, () => client.workflow.getHandle(workflow.workflowId, workflow.runId).cancel());
  } catch (error) {
    log.debug('could not request the cancellation of a revoked job', { type: REVOKED_FAILURE, error });
  }
}

/**
 * The same for a standalone activity, whose end is told here: the SDK would report it as a failure, since it has not heard
 * of the cancellation. Returns whether Temporal knows now.
 */
async function reportCancelled({ client, info, log }: Context): Promise<boolean> {
  try {
    await client.withDeadline(Date.now() + CALL_DEADLINE_MS, async () => {
      // Refused when revoke() has asked already, which is as well.
      await client.activity
        .getHandle(info.activityId, info.activityRunId)
        .cancel('revoked')
        .catch(() => undefined);
      await client.activity.reportCancellation(info.taskToken);
    });
    return true;
  } catch (error) {
    log.debug('could not report the cancellation of a revoked job', { type: REVOKED_FAILURE, error });
    return false;
  }
}

export function isWorkflowInput(value: unknown): value is WorkflowInput {
  const input = value as Partial<WorkflowInput> | null | undefined;
  return (
    typeof input === 'object' &&
    input?.v === 1 &&
    typeof input.id === 'string' &&
    typeof input.run === 'number' &&
    typeof input.queue === 'string'
  );
}
