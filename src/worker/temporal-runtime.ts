// The native core, once per process: its log lines go where ours go, and it leaves signals to us.
import { IllegalStateError, Runtime } from '@temporalio/worker';
import type { Logger } from '@temporalio/worker';
import type { Log } from '../domain/ports.ts';

type LogMetadata = Record<string | symbol, unknown>;

/** What the SDK warns about for every attempt or workflow that did not succeed: on the row, and logged with the job. */
const SAID_ELSEWHERE = new Set(['Activity failed', 'Workflow failed']);
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
  const write = (level: string, message: string, meta: LogMetadata = {}): void => {
    const component = meta.sdkComponent;
    const fields = Object.fromEntries(Object.entries(meta).filter(([name]) => !HIDDEN_FIELDS.has(name)));
    log[levelOf(level, message, component)]({ component: `temporal.${String(component ?? 'worker')}`, ...fields }, message);
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
  if (level === 'ERROR') return 'error';
  if (level === 'WARN') return SAID_ELSEWHERE.has(message) ? 'debug' : 'warn';
  // The SDK's own INFO is about its states; a handler's (`Context.log`) is for people.
  return level === 'INFO' && component === 'activity' ? 'info' : 'debug';
}
