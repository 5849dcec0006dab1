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
    const typesOf = (engine: TemporalEngine) => [...jobTypes.keys()].filter((jobType) => jobTypes.get(jobType) === engine);
    this.#engines = { workflow: new WorkflowEngine(calls, typesOf('workflow')), activity: new ActivityEngine(calls, typesOf('activity')) };
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

  async endedSince(moment: Date): Promise<{ runs: RunRef[]; newest: Date | null }> {
    const ended = await Promise.all(this.#inUse.map((engine) => this.#engines[engine].lists.endedSince(moment)));
    const newest = Math.max(...ended.map((each) => each.newest?.getTime() ?? 0));
    return { runs: ended.flatMap(({ runs }) => runs), newest: newest > 0 ? new Date(newest) : null };
  }

  async *openRuns(): AsyncGenerator<RunRef[]> {
    for (const engine of this.#inUse) yield* this.#engines[engine].lists.openRuns();
  }

  #of({ jobType }: { jobType: string }): JobEngine {
    return this.#engines[this.#engineOf(jobType)];
  }
}
