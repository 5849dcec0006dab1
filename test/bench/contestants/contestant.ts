// What a contestant is: the same empty job, enqueued and executed in its own way. Each half runs in a process of its own.

/** Where a contestant finds its servers, and how its jobs and workers are. */
export interface Surroundings {
  databaseUrl: string;
  temporalAddress: string;
  /** How many jobs its worker runs at the same time. */
  concurrency: number;
  /** File of the bundled workflows of ./workflows.ts. */
  workflowBundle: string;
  /** Queues over which jobs are spread; a worker serves them all. This library's contestants only, as the next two. */
  queues: number;
  /** Length of column `note`. */
  noteBytes: number;
  /** What a handler does before it ends. */
  progress: { callsPerS: number; seconds: number } | null;
}

export interface Producer extends AsyncDisposable {
  /** Enqueues job number `seq`. Resolves when the caller may go on, with the id of its row, or of its workflow where there is no row. */
  enqueue(seq: number): Promise<string>;
  /** Jobs `first` to `first + count - 1` in one call. */
  enqueueMany?(first: number, count: number): Promise<void>;
}

export interface Contestant {
  /** Makes the tables, too. */
  openProducer(surroundings: Surroundings): Promise<Producer>;
  /** Resolves when jobs are taken. `handled` is the handler's only work. */
  startWorker(surroundings: Surroundings, handled: (seq: number) => void): Promise<AsyncDisposable>;
}

/** The table of the contestants that keep a row: `id`, `seq`, `status` and more. */
export const TABLE = 'bench_job';
export const TASK_QUEUE = 'bench/default';
/** Column `note` of every row. */
export const NOTE = 'one of many';
