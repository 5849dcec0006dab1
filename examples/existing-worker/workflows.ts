// The bundle of the worker: workflows of one's own, and the one that runs jobs.
import { proxyActivities } from '@temporalio/workflow';
import type * as activities from './activities.ts';

export { default } from 'asyncjob/workflows';

const { greet } = proxyActivities<typeof activities>({ startToCloseTimeout: '1 minute' });

export async function greeting(name: string): Promise<string> {
  return greet(name);
}
