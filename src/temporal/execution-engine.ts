// What both of Temporal's engines do in the same way: start or find the one execution of a run, end it, list them.
import { taskQueueOf, workflowIdOf } from '../domain/identity.ts';
import type { Dispatched, DispatchRequest, Execution, ExecutionStatus, JobEngine, RunRef } from '../domain/ports.ts';
import type { WorkflowInput } from '../domain/workflow-input.ts';
import { ExecutionLists, type ListPage } from './execution-lists.ts';
import { unavailable } from './failures.ts';
import type { TemporalCalls } from './temporal-calls.ts';
import { toMs, type Timestamp } from './timestamp.ts';

/** By which the library recognises what it terminated itself. */
const OWN_REASON = 'asyncjob: ';

/** A page of Temporal's lists, as its API answers. */
export interface ListAnswer {
  executions: { id: string | null | undefined; closeTime: Timestamp | null | undefined }[];
  nextPageToken: Uint8Array | null | undefined;
}

/** What Temporal has under an id. */
export interface FoundExecution {
  runId: string;
  status: ExecutionStatus;
}

export abstract class ExecutionEngine implements JobEngine {
  readonly lists: ExecutionLists;
  protected readonly calls: TemporalCalls;

  constructor(calls: TemporalCalls, kind: 'Workflow' | 'Activity', jobTypes: readonly string[]) {
    this.calls = calls;
    const listPage: ListPage = async (query, pageSize, from) => {
      const page = { namespace: calls.settings.namespace, query, pageSize, ...(from ? { nextPageToken: from } : {}) };
      const { executions, nextPageToken } = await calls.aside(() => this.list(page));
      const found = executions.map(({ id, closeTime }) => ({ id: id ?? '', closedAtMs: toMs(closeTime) }));
      return { found, next: nextPageToken?.length ? nextPageToken : null };
    };
    this.lists = new ExecutionLists({ applicationName: calls.applicationName, kind, jobTypes, listPage });
  }

  /** Its run id; `null` when there is one already, open or closed. */
  protected abstract start(request: DispatchRequest, deadlineMs: number): Promise<string | null>;
  protected abstract find(ref: RunRef): Promise<FoundExecution>;
  protected abstract end(ref: RunRef, reason: string): Promise<unknown>;
  protected abstract list(page: { namespace: string; query: string; pageSize: number; nextPageToken?: Uint8Array }): Promise<ListAnswer>;
  abstract cancel(ref: RunRef, reason: string): Promise<void>;
  abstract describe(ref: RunRef): Promise<Execution>;

  async dispatch(request: DispatchRequest): Promise<Dispatched> {
    const started = await this.#startOrFind(request);
    // Retention may delete an execution between the two calls.
    const dispatched = started ?? (await this.#startOrFind(request));
    if (dispatched === null) throw unavailable(this.calls.settings, `it neither starts nor finds '${this.idOf(request)}'`);
    return dispatched;
  }

  async terminate(ref: RunRef, reason: string): Promise<void> {
    await this.calls.unlessGone(() => this.end(ref, `${OWN_REASON}${reason}`));
  }

  close(): Promise<void> {
    return this.calls.close();
  }

  /** `null` when there was an execution, but not any more. */
  async #startOrFind(request: DispatchRequest): Promise<Dispatched | null> {
    const workflowId = this.idOf(request);
    const runId = await this.calls.call((deadlineMs) => this.start(request, deadlineMs));
    if (runId !== null) return { workflowId, runId, outcome: 'started' };
    const found = await this.calls.unlessGone(() => this.find(request));
    return found && { workflowId, runId: found.runId, outcome: found.status === 'running' ? 'running' : 'closed' };
  }

  protected idOf(ref: RunRef): string {
    return workflowIdOf(this.calls.applicationName, ref);
  }

  /** How somebody's termination is told. */
  protected endOf(by: string, reason: string): NonNullable<Execution['end']> {
    return { by, reason, byThisLibrary: reason.startsWith(OWN_REASON) };
  }

  /** What a start says in the same way, whatever is started. */
  protected optionsOf({ id, run, queue, startAt, priority, heartbeatTimeoutMs, totalTimeoutMs }: DispatchRequest) {
    const input: WorkflowInput = { v: 1, id, run, queue, heartbeatTimeoutMs, totalTimeoutMs };
    const startDelay = startAt === null ? 0 : Math.max(0, startAt.getTime() - Date.now());
    return {
      taskQueue: taskQueueOf(this.calls.applicationName, queue),
      args: [input],
      ...(startDelay > 0 ? { startDelay } : {}),
      ...(priority === null ? {} : { priority: { priorityKey: priority } }),
    };
  }
}
