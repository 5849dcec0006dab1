// The engine that the settings ask for. Each is loaded only when it is the one.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ExecutionListing, JobEngine } from '../domain/ports.ts';
import type { HandlerTable } from '../handlers/handler-table.ts';
import { InlineJobEngine } from '../handlers/inline-job-engine.ts';
import type { TemporalConnection } from '../temporal/connection.ts';
import type { ApplicationParts } from './application-parts.ts';
import type { Config } from './config.ts';
import type { Settings } from './settings.ts';

export interface OpenedEngine {
  engine: JobEngine;
  /** `null` with the inline engine. */
  executions: ExecutionListing | null;
  temporal: TemporalConnection | null;
}

/** @throws AsyncJobError `settings.invalid` when Temporal's profile file cannot be read */
export async function openEngine(
  config: Config,
  settings: Settings,
  handlers: HandlerTable,
  runAttemptWith: ApplicationParts['runAttemptWith'],
): Promise<OpenedEngine> {
  if (settings.engine === 'inline') {
    // A dispatch comes from wherever the commit was: its transaction, or a handler's attempt, is not where the job runs.
    const outside = AsyncLocalStorage.snapshot();
    const run = runAttemptWith(null);
    return { engine: new InlineJobEngine((host, invoke) => outside(() => run(host, invoke))), executions: null, temporal: null };
  }
  // Only now: a process with the inline engine needs no Temporal client.
  const [{ resolveTemporal, TemporalConnection: Connection }, { TemporalCalls }, { EngineByPolicy }] = await Promise.all([
    import('../temporal/connection.ts'),
    import('../temporal/temporal-calls.ts'),
    import('../temporal/engine-by-policy.ts'),
  ]);
  const temporal = new Connection(resolveTemporal(config.temporal));
  const engines = new Map([...handlers.types].map(([jobType, { policy }]) => [jobType, policy.engine]));
  const engine = new EngineByPolicy(new TemporalCalls(temporal, config.name ?? ''), engines);
  return { engine, executions: engine, temporal };
}
