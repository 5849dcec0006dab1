// The activity of a lane: gives it heartbeats, and tells it what Temporal thinks of it.
import { Context } from '@temporalio/activity';
import { LANE, type LaneExecution, type LaneInput, type LaneReceipt } from '../src/domain/lane.ts';
import { startHeartbeats } from './heartbeats.ts';

export interface LaneActivityDeps {
  /** Runs a lane until it ends; a shutdown of the worker ends it without being told. */
  serve(input: LaneInput, execution: LaneExecution): Promise<LaneReceipt>;
}

/** A type alias, not an interface: it is assignable to `WorkerOptions.activities`. */
export type LaneActivities = { [LANE](input: LaneInput): Promise<LaneReceipt> };

export function createLaneActivities({ serve }: LaneActivityDeps): LaneActivities {
  return {
    async [LANE](input) {
      const context = Context.current();
      using _heartbeats = startHeartbeats(context);
      const { info, cancellationSignal } = context;
      return await serve(input, {
        workflowId: info.workflowExecution?.workflowId ?? null,
        runId: info.workflowExecution?.runId ?? '',
        info,
        onStop(listener) {
          const tell = () => {
            const details = context.cancellationDetails;
            if (details?.notFound || details?.timedOut) listener('lost');
            else if (details?.cancelRequested || details?.paused || details?.reset) listener('cancelled');
          };
          if (cancellationSignal.aborted) tell();
          else cancellationSignal.addEventListener('abort', tell, { once: true });
        },
      });
    },
  };
}
