// Connects a worker to Temporal and waits visibly while that is not possible: the native connection does not retry.
import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import { isAsyncJobError } from '../domain/errors.ts';
import { rejection } from '../domain/pause.ts';
import type { Log } from '../domain/ports.ts';
import type { TemporalSettings } from '../temporal/connection.ts';
import { isNamespaceNotFound, namespaceNotFound, unavailable } from '../temporal/failures.ts';

const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 10_000;
const DEADLINE_MS = 5_000;

export interface ConnectOptions {
  settings: TemporalSettings;
  log: Log;
  /** `false`: fail at once when Temporal is away. */
  wait: boolean;
  /** Ends the waiting; its reason is thrown. */
  signal?: AbortSignal | undefined;
}

/**
 * Resolves with a connection to a Temporal that has the namespace.
 *
 * @throws AsyncJobError `temporal.namespace` at once; `temporal.unavailable` when it shall not wait
 */
export async function connectNative({ settings, log, wait, signal }: ConnectOptions): Promise<NativeConnection> {
  for (let pauseMs = PAUSE_MIN_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    signal?.throwIfAborted();
    try {
      return await connectOnce(settings, signal);
    } catch (error) {
      if (!wait || !isAsyncJobError(error, 'temporal.unavailable')) throw error;
      log.warn({ address: settings.address, namespace: settings.namespace, retryInMs: pauseMs }, error.message);
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

async function connectOnce(settings: TemporalSettings, signal?: AbortSignal): Promise<NativeConnection> {
  // The core knows no deadline for connecting: what comes of it later is let go.
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(unavailable(settings, `no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  const over = AbortSignal.any([deadline.signal, ...(signal ? [signal] : [])]);
  const connecting = connectAndCheck(settings);
  try {
    return await Promise.race([connecting, rejection(over)]);
  } catch (error) {
    void connecting.then((late) => late.close()).catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function connectAndCheck(settings: TemporalSettings): Promise<NativeConnection> {
  let connection: NativeConnection | undefined;
  try {
    connection = await NativeConnection.connect(settings.connectionOptions);
    const { namespace } = settings;
    const { workflowService } = connection;
    await connection.withDeadline(Date.now() + DEADLINE_MS, () => workflowService.describeNamespace({ namespace }));
    return connection;
  } catch (error) {
    await connection?.close();
    if (isNamespaceNotFound(error)) throw namespaceNotFound(settings, error);
    throw unavailable(settings, inWords(error as Error), error);
  }
}

/** The core prints its errors as the structures they are in Rust: `… Os { code: 111, kind: …, message: \"Connection refused\" }`. */
function inWords({ message }: Error): string {
  return /message: "([^"]+)"/.exec(message)?.[1] ?? message.split('\n', 1)[0]!;
}
