// Names by which a job is known outside its row: workflow id and task queue.

/**
 * `name/MyJob/<id>/<run>`, without `name/` for an application without a name. One per run, so that a repeated start is
 * recognised; with the application's name, so that a copy of its database (staging made from a dump) under another name
 * does not find, cancel or terminate the original's executions.
 */
export function workflowIdOf(applicationName: string, { jobType, id, run }: { jobType: string; id: string; run: number }): string {
  return `${applicationName === '' ? '' : `${applicationName}/`}${jobType}/${id}/${run}`;
}

/** A job as one text, for maps and sets. */
export function jobKey({ jobType, id }: { jobType: string; id: string }): string {
  return `${jobType}/${id}`;
}

/** A run as one text, for maps and sets. */
export function runKey(ref: { jobType: string; id: string; run: number }): string {
  return workflowIdOf('', ref);
}

/** The reverse of `workflowIdOf`; `null` when the id is not one of this application. */
export function parseWorkflowId(applicationName: string, workflowId: string): { jobType: string; id: string; run: number } | null {
  const prefix = applicationName === '' ? '' : `${applicationName}/`;
  if (!workflowId.startsWith(prefix)) return null;
  const match = /^(.+)\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/(\d{1,9})$/.exec(workflowId.slice(prefix.length));
  return match ? { jobType: match[1]!, id: match[2]!, run: Number(match[3]) } : null;
}

/** The Temporal task queue of a named queue: `name/queue`, or the queue itself for an application without a name. */
export function taskQueueOf(applicationName: string, queue: string): string {
  return applicationName === '' ? queue : `${applicationName}/${queue}`;
}
