// The native core, once per process: its log lines go where ours go, and it leaves signals to us.
import { IllegalStateError, Runtime } from '@temporalio/worker';
import type { Logger } from '@temporalio/worker';
import type { Log } from '../domain/ports.ts';

type LogMetadata = Record<string | symbol, unknown>;

/**
 * Attempts and workflows that did not succeed are logged with their job; `run()` rejects with a worker's failure; the SDK worker
 * of the lanes has no workflows.
 */
const SAID_ELSEWHERE = new Set([
  'Activity failed',
  'Workflow failed',
  'Worker failed',
  'No workflows registered, not polling for workflow tasks',
]);
/** The core says this for every poll and heartbeat, several times a second, for as long as Temporal is away. */
const REPEATED = /^gRPC call \w+ retried \d+ times/;
const REPEATED_EVERY_MS = 30_000;
/** Fields without meaning for a reader. */
const HIDDEN_FIELDS = new Set(['sdkComponent', 'taskToken', 'timestampNanos', 'namespace']);

/** The first worker of a process installs it; where the application has installed one of its own, that one stays. */
export function installRuntime(log: Log): void {
  try {
    Runtime.install({
      logger: toTemporalLogger(log),
      shutdownSignals: [],
      workerHeartbeatInterval: '30 seconds',
      telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
    });
  } catch (error) {
    if (!(error instanceof IllegalStateError)) throw error;
  }
}

function toTemporalLogger(log: Log): Logger {
  let saidAt = -Infinity;
  const write = (level: string, message: string, meta: LogMetadata = {}): void => {
    if (REPEATED.test(message)) {
      if (performance.now() - saidAt < REPEATED_EVERY_MS) return;
      saidAt = performance.now();
      log.warn({ component: 'temporal.core' }, `Temporal does not answer; trying again (${message})`);
      return;
    }
    const component = meta.sdkComponent;
    const fields = Object.fromEntries(Object.entries(meta).filter(([name]) => !HIDDEN_FIELDS.has(name)));
    log[levelOf(level, message, component)](
      { component: `temporal.${typeof component === 'string' ? component : 'worker'}`, ...fields },
      message,
    );
  };
  return {
    log: write,
    trace: (message, meta) => write('TRACE', message, meta),
    debug: (message, meta) => write('DEBUG', message, meta),
    info: (message, meta) => write('INFO', message, meta),
    warn: (message, meta) => write('WARN', message, meta),
    error: (message, meta) => write('ERROR', message, meta),
  };
}

function levelOf(level: string, message: string, component: unknown): Exclude<keyof Log, 'child'> {
  if (SAID_ELSEWHERE.has(message)) return 'debug';
  if (level === 'ERROR') return 'error';
  if (level === 'WARN') return 'warn';
  // The SDK's own INFO is about its states; a handler's (`Context.log`) is for people.
  return level === 'INFO' && component === 'activity' ? 'info' : 'debug';
}
