// Names by which a job is known outside its row: workflow id and task queue.

/** `MyJob/<id>/<run>`: one workflow id per run, so that a repeated start is recognised. */
export function workflowIdOf(jobType: string, id: string, run: number): string {
  return `${jobType}/${id}/${run}`;
}

/** The reverse of `workflowIdOf`; `null` when the id is not one of ours. */
export function parseWorkflowId(workflowId: string): { jobType: string; id: string; run: number } | null {
  const match = /^(.+)\/([0-9a-f-]{36})\/(\d+)$/.exec(workflowId);
  return match ? { jobType: match[1]!, id: match[2]!, run: Number(match[3]) } : null;
}

/** The Temporal task queue of a named queue: `name/queue`, or the queue itself for an application without a name. */
export function taskQueueOf(applicationName: string, queue: string): string {
  return applicationName === '' ? queue : `${applicationName}/${queue}`;
}
