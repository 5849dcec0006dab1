// The queries of Temporal's lists (visibility) that workflows and standalone activities share.
import { parseWorkflowId, runKey, workflowIdOf } from '../domain/identity.ts';
import type { ExecutionListing, RunRef } from '../domain/ports.ts';

export const PAGE_SIZE = 1_000;
/** In one query: an id has some 60 characters. */
const IDS_PER_QUERY = 100;

/** By which the library recognises what it terminated itself. */
export const OWN_REASON = 'asyncjob: ';

/** One page of the ids that match. */
export type ListIds = (query: string, pageSize: number, from: Uint8Array | null) => Promise<{ ids: string[]; next: Uint8Array | null }>;

export class ExecutionLists implements ExecutionListing {
  readonly #applicationName: string;
  readonly #idAttribute: string;
  readonly #listIds: ListIds;

  /** `idAttribute`: the search attribute that has the id. */
  constructor(applicationName: string, idAttribute: 'WorkflowId' | 'ActivityId', listIds: ListIds) {
    this.#applicationName = applicationName;
    this.#idAttribute = idAttribute;
    this.#listIds = listIds;
  }

  async openAmong(refs: readonly RunRef[]): Promise<Set<string>> {
    const ids = refs.map((ref) => quoted(workflowIdOf(this.#applicationName, ref)));
    const open = new Set<string>();
    for (let first = 0; first < ids.length; first += IDS_PER_QUERY) {
      const some = ids.slice(first, first + IDS_PER_QUERY);
      const { runs } = await this.#list(`ExecutionStatus = 'Running' and ${this.#idAttribute} in (${some.join(', ')})`, some.length);
      for (const run of runs) open.add(runKey(run));
    }
    return open;
  }

  async endedSince(moment: Date): Promise<RunRef[]> {
    const ended = `ExecutionStatus in ('Terminated', 'Canceled', 'Failed', 'TimedOut') and CloseTime > '${moment.toISOString()}'`;
    return (await this.#list(`${ended}${this.#ours()}`, PAGE_SIZE)).runs;
  }

  async *openRuns(): AsyncGenerator<RunRef[]> {
    for (let from: Uint8Array | null = null; ;) {
      const { runs, next }: { runs: RunRef[]; next: Uint8Array | null } = await this.#list(
        `ExecutionStatus = 'Running'${this.#ours()}`,
        PAGE_SIZE,
        from,
      );
      yield runs;
      if (next === null) return;
      from = next;
    }
  }

  /** Of an application with a name: others' executions in the namespace are not even asked for. */
  #ours(): string {
    return this.#applicationName === '' ? '' : ` and ${this.#idAttribute} starts_with ${quoted(`${this.#applicationName}/`)}`;
  }

  async #list(query: string, pageSize: number, from: Uint8Array | null = null): Promise<{ runs: RunRef[]; next: Uint8Array | null }> {
    const { ids, next } = await this.#listIds(query, pageSize, from);
    return { runs: ids.flatMap((id) => parseWorkflowId(this.#applicationName, id) ?? []), next };
  }
}

/** A text in a query. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
