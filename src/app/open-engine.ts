// The engine that the settings ask for. Each is loaded only when it is the one.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ExecutionListing, JobEngine } from '../domain/ports.ts';
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
  runAttemptWith: ApplicationParts['runAttemptWith'],
): Promise<OpenedEngine> {
  if (settings.engine === 'inline') {
    // A dispatch comes from wherever the commit was: its transaction, or a handler's attempt, is not where the job runs.
    const outside = AsyncLocalStorage.snapshot();
    const run = runAttemptWith(null);
    return { engine: new InlineJobEngine((host, invoke) => outside(() => run(host, invoke))), executions: null, temporal: null };
  }
  // Only now: a process with the inline engine needs no Temporal client.
  const [{ resolveTemporal, TemporalConnection: Connection }, { TemporalJobEngine }] = await Promise.all([
    import('../temporal/connection.ts'),
    import('../temporal/temporal-job-engine.ts'),
  ]);
  const temporal = new Connection(resolveTemporal(config.temporal));
  const engine = new TemporalJobEngine({ connection: temporal, applicationName: config.name ?? '' });
  return { engine, executions: engine, temporal };
}
