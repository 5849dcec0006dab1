// Did every job end as it should? The row is asked, and Temporal is asked for the workflow behind it.
import { setTimeout as pause } from 'node:timers/promises';
import { styleText } from 'node:util';
import type { AsyncJob, AsyncJobs } from 'asyncjob';
import type { PlannedJob } from '../plan.ts';
import { say } from './say.ts';

/** Says it for each job; returns how many did not. */
export async function check(app: AsyncJobs, planned: PlannedJob[]): Promise<number> {
  let wrong = 0;
  for (const { job, subject, row, workflow } of planned) {
    await job.refresh();
    const problems = Object.entries(row).flatMap(([column, wanted]) => {
      const value = (job as unknown as Record<string, unknown>)[column];
      return matches(value, wanted) ? [] : [`${column} is ${String(value)}, not ${String(wanted)}`];
    });
    const outcome = await outcomeOf(app, job);
    if (outcome !== workflow) problems.push(`its workflow is ${outcome}, not ${workflow}`);

    if (problems.length > 0) wrong += 1;
    const mark = problems.length > 0 ? styleText('red', '✗') : styleText('green', '✓');
    const name = `${job.constructor.name} ${subject}`.padEnd(28);
    say(`${mark} ${name} ${problems.length > 0 ? problems.join('; ') : `${job.status}, and ${workflow} in Temporal`}`);
  }
  return wrong;
}

/** The row is settled by the attempt; the workflow follows a moment later. */
async function outcomeOf(app: AsyncJobs, { workflowId, runId }: AsyncJob): Promise<string> {
  if (!workflowId || !runId) return 'not started';
  for (const deadline = Date.now() + 10_000; ; await pause(100)) {
    const { status } = await app.temporal.workflow.getHandle(workflowId, runId).describe();
    if (status.name !== 'RUNNING' || Date.now() > deadline) return status.name;
  }
}

function matches(value: unknown, wanted: unknown): boolean {
  return wanted instanceof RegExp ? wanted.test(String(value)) : value === wanted;
}
