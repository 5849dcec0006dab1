// The engine without Temporal, for an application's tests: a dispatch runs the job here and now, retries included,
// through the same attempt, mirror and errors as in a worker. Delays are not waited for.
import { randomUUID } from 'node:crypto';
import { AttemptStopped, type AttemptHost, type RunAttempt } from '../domain/attempt.ts';
import { runKey } from '../domain/identity.ts';
import type { Dispatched, DispatchRequest, Execution, JobEngine, RunRef } from '../domain/ports.ts';

export class InlineJobEngine implements JobEngine {
  readonly #runAttempt: RunAttempt;
  readonly #running = new Map<string, AbortController>();

  constructor(runAttempt: RunAttempt) {
    this.#runAttempt = runAttempt;
  }

  async dispatch(request: DispatchRequest): Promise<Dispatched> {
    const { jobType, id, run, queue } = request;
    const runId = `inline-${randomUUID()}`;
    const stop = new AbortController();
    this.#running.set(runKey(request), stop);
    try {
      for (let attempt = 1; ; attempt++) {
        const host: AttemptHost = {
          ref: { jobType, id, run, attempt, runId },
          queue,
          signal: stop.signal,
          heartbeat: () => undefined,
          info: null,
        };
        const end = await this.#runAttempt(host, (runHandler) => runHandler());
        const goesOn = (end.kind === 'retry' && end.error.code !== 'handler.missing') || end.kind === 'behind';
        if (!goesOn) return { workflowId: runKey(request), runId, outcome: 'started' };
      }
    } finally {
      this.#running.delete(runKey(request));
    }
  }

  async cancel(ref: RunRef): Promise<void> {
    this.#running.get(runKey(ref))?.abort(new AttemptStopped('revoked'));
  }

  async terminate(ref: RunRef): Promise<void> {
    await this.cancel(ref);
  }

  async describe(ref: RunRef): Promise<Execution> {
    return { status: this.#running.has(runKey(ref)) ? 'running' : 'not_found' };
  }

  async close(): Promise<void> {
    for (const stop of this.#running.values()) stop.abort(new AttemptStopped('shutdown'));
  }
}
