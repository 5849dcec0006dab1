// The queries of Temporal's lists (visibility) that workflows and standalone activities share.
import { parseWorkflowId, runKey, workflowIdOf } from '../domain/identity.ts';
import type { ExecutionListing, RunRef } from '../domain/ports.ts';

const PAGE_SIZE = 1_000;
const ENDED_PAGES_MAX = 10;

interface Listed {
  id: string;
  closedAtMs: number | null;
}

/** One page of the executions that match. */
export type ListPage = (query: string, pageSize: number, from: Uint8Array | null) => Promise<{ found: Listed[]; next: Uint8Array | null }>;

export interface ExecutionListsParts {
  applicationName: string;
  kind: 'Workflow' | 'Activity';
  jobTypes: readonly string[];
  listPage: ListPage;
}

export class ExecutionLists implements ExecutionListing {
  readonly #parts: ExecutionListsParts;

  constructor(parts: ExecutionListsParts) {
    this.#parts = parts;
  }

  async openAmong(refs: readonly RunRef[]): Promise<Set<string>> {
    const { applicationName, kind } = this.#parts;
    const ids = refs.map((ref) => quoted(workflowIdOf(applicationName, ref)));
    const { runs } = await this.#page(`ExecutionStatus = 'Running' and ${kind}Id in (${ids.join(', ')})`, refs.length);
    return new Set(runs.map(runKey));
  }

  async endedSince(moment: Date): Promise<{ runs: RunRef[]; newest: Date | null }> {
    const query = `ExecutionStatus in ('Terminated', 'Canceled', 'Failed', 'TimedOut') and CloseTime > '${moment.toISOString()}'${this.#ours()}`;
    const ended: { runs: RunRef[]; newest: Date | null } = { runs: [], newest: null };
    let pages = 0;
    for await (const { runs, newest } of this.#pages(query)) {
      ended.runs.push(...runs);
      if (newest && !(ended.newest && ended.newest > newest)) ended.newest = newest;
      if (++pages === ENDED_PAGES_MAX) break;
    }
    return ended;
  }

  async *openRuns(): AsyncGenerator<RunRef[]> {
    for await (const { runs } of this.#pages(`ExecutionStatus = 'Running'${this.#ours()}`)) yield runs;
  }

  async *#pages(query: string) {
    for (let from: Uint8Array | null = null, isFirst = true; isFirst || from !== null; isFirst = false) {
      const page = await this.#page(query, PAGE_SIZE, from);
      yield page;
      from = page.next;
    }
  }

  /** Others' executions in the namespace are not even asked for. */
  #ours(): string {
    const { applicationName, kind, jobTypes } = this.#parts;
    const name = applicationName === '' ? '' : ` and ${kind}Id starts_with ${quoted(`${applicationName}/`)}`;
    return ` and ${kind}Type in (${jobTypes.map(quoted).join(', ')})${name}`;
  }

  async #page(
    query: string,
    pageSize: number,
    from: Uint8Array | null = null,
  ): Promise<{ runs: RunRef[]; newest: Date | null; next: Uint8Array | null }> {
    const { found, next } = await this.#parts.listPage(query, pageSize, from);
    const runs = found.flatMap(({ id }) => parseWorkflowId(this.#parts.applicationName, id) ?? []);
    const newest = Math.max(...found.map(({ closedAtMs }) => closedAtMs ?? 0));
    return { runs, newest: newest > 0 ? new Date(newest) : null, next };
  }
}

/** A text in a query. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
