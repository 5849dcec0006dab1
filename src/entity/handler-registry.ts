// The module-wide handlers: MyJob.handler(fn) at import time. An application's own (app.handle) win over these.
import { AsyncJobError } from '../domain/errors.ts';
import type { JobClass, JobHandler } from './job-types.ts';

export interface RegisteredHandler {
  handler: JobHandler;
  /** Relations to load before the handler runs. */
  populate: string[];
}

// On globalThis: a handlers module and a worker may load this library twice (source and build, CJS and ESM).
const STORE = Symbol.for('asyncjob.handlers');
const handlers = ((globalThis as Record<symbol, unknown>)[STORE] ??= new Map()) as Map<JobClass, RegisteredHandler>;

/** @throws AsyncJobError `handler.duplicate` */
export function registerHandler(jobClass: JobClass, handler: JobHandler, options: { populate?: string[] }): void {
  if (handlers.has(jobClass)) {
    throw new AsyncJobError(
      'handler.duplicate',
      `'${jobClass.name}' has a handler already. A job class has one; app.handle(${jobClass.name}, fn) replaces it for one application.`,
    );
  }
  handlers.set(jobClass, { handler, populate: options.populate ?? [] });
}

export function registeredHandlers(): ReadonlyMap<JobClass, RegisteredHandler> {
  return handlers;
}
