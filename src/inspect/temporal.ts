// Temporal as an inspection sees it: the server, the namespace, and who polls the application's task queues.
import { taskQueueOf } from '../domain/identity.ts';
import type { TemporalConnection } from '../temporal/connection.ts';
import { toMs } from '../temporal/timestamp.ts';
import type { PolledQueue, Poller, TemporalFacts } from './facts.ts';

/** gRPC needs up to a second to give up a connection after its deadline. */
export const CALL_DEADLINE_MS = 2_500;
type TaskQueueKind = NonNullable<Parameters<TemporalConnection['client']['workflowService']['describeTaskQueue']>[0]['taskQueueType']>;
/** Temporal's numbers of the two kinds of task queue: workflow, activity. */
const KINDS = [1, 2] as unknown as TaskQueueKind[];

/** @throws AsyncJobError `temporal.unavailable`, `temporal.namespace` */
export async function temporalFacts(connection: TemporalConnection): Promise<TemporalFacts> {
  const { address, namespace } = connection.settings;
  const { workflowService } = connection.client;
  const info = await connection.within(CALL_DEADLINE_MS, () => workflowService.getSystemInfo({}));
  const before = performance.now();
  const described = await connection.within(CALL_DEADLINE_MS, () => workflowService.describeNamespace({ namespace }));
  return {
    address,
    namespace,
    serverVersion: info.serverVersion ?? '',
    retentionMs: toMs(described.config?.workflowExecutionRetentionTtl),
    answeredInMs: Math.round(performance.now() - before),
    standaloneActivities: described.namespaceInfo?.capabilities?.standaloneActivities ?? false,
  };
}

/** Who polls each queue, newest first; one entry for each identity. */
export async function pollersOf(connection: TemporalConnection, application: string, queues: readonly string[]): Promise<PolledQueue[]> {
  const { namespace } = connection.settings;
  return connection.within(CALL_DEADLINE_MS, () =>
    Promise.all(
      queues.map(async (queue) => {
        const taskQueue = taskQueueOf(application, queue);
        const described = await Promise.all(
          KINDS.map((taskQueueType) =>
            connection.client.workflowService.describeTaskQueue({
              namespace,
              taskQueue: { name: taskQueue },
              taskQueueType,
              reportPollers: true,
            }),
          ),
        );
        const pollers = new Map<string, Poller>();
        for (const { identity, lastAccessTime } of described.flatMap((each) => each.pollers ?? [])) {
          const lastAccessMsAgo = Math.max(0, Date.now() - (toMs(lastAccessTime) ?? 0));
          const known = pollers.get(identity ?? '');
          if (!known || lastAccessMsAgo < known.lastAccessMsAgo) pollers.set(identity ?? '', { identity: identity ?? '', lastAccessMsAgo });
        }
        return { queue, taskQueue, pollers: [...pollers.values()].sort((a, b) => a.lastAccessMsAgo - b.lastAccessMsAgo) };
      }),
    ),
  );
}
