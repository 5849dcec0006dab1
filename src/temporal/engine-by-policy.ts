// Each job type has its engine: a workflow per job, or a standalone activity. Lists are asked of those that are in use.
import type { TemporalEngine } from '../domain/job-policy.ts';
import type { Dispatched, DispatchRequest, Execution, ExecutionListing, JobEngine, RunRef } from '../domain/ports.ts';
import { ActivityEngine } from './activity-engine.ts';
import type { TemporalCalls } from './temporal-calls.ts';
import { WorkflowEngine } from './workflow-engine.ts';

export class EngineByPolicy implements JobEngine, ExecutionListing {
  readonly #engines: Record<TemporalEngine, WorkflowEngine | ActivityEngine>;
  readonly #engineOf: (jobType: string) => TemporalEngine;
  readonly #inUse: readonly TemporalEngine[];

  /** `jobTypes` with the engine of each. */
  constructor(calls: TemporalCalls, jobTypes: ReadonlyMap<string, TemporalEngine>) {
    this.#engines = { workflow: new WorkflowEngine(calls), activity: new ActivityEngine(calls) };
    this.#engineOf = (jobType) => jobTypes.get(jobType) ?? 'workflow';
    this.#inUse = [...new Set(jobTypes.values())];
  }

  dispatch(request: DispatchRequest): Promise<Dispatched> {
    return this.#of(request).dispatch(request);
  }

  cancel(ref: RunRef, reason: string): Promise<void> {
    return this.#of(ref).cancel(ref, reason);
  }

  terminate(ref: RunRef, reason: string): Promise<void> {
    return this.#of(ref).terminate(ref, reason);
  }

  describe(ref: RunRef): Promise<Execution> {
    return this.#of(ref).describe(ref);
  }

  close(): Promise<void> {
    return this.#engines.workflow.close();
  }

  async openAmong(refs: readonly RunRef[]): Promise<Set<string>> {
    const open = new Set<string>();
    for (const [engine, some] of Map.groupBy(refs, ({ jobType }) => this.#engineOf(jobType)))
      for (const key of await this.#engines[engine].lists.openAmong(some)) open.add(key);
    return open;
  }

  async endedSince(moment: Date): Promise<RunRef[]> {
    const ended = await Promise.all(this.#inUse.map((engine) => this.#engines[engine].lists.endedSince(moment)));
    return ended.flat();
  }

  async *openRuns(): AsyncGenerator<RunRef[]> {
    for (const engine of this.#inUse) {
      for await (const runs of this.#engines[engine].lists.openRuns())
        yield runs.filter(({ jobType }) => this.#engineOf(jobType) === engine);
    }
  }

  #of({ jobType }: { jobType: string }): JobEngine {
    return this.#engines[this.#engineOf(jobType)];
  }
}
