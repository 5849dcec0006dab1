// The workflows of the contestants that are written on Temporal's SDK.
import { proxyActivities } from '@temporalio/workflow';
import type { BareActivities } from './bare-temporal.ts';
import type { HandWrittenActivities } from './hand-written.ts';

const bare = proxyActivities<BareActivities>({ startToCloseTimeout: '10 minutes' });
const handWritten = proxyActivities<HandWrittenActivities>({ startToCloseTimeout: '10 minutes', retry: { maximumAttempts: 3 } });

export async function bareWorkflow(seq: number): Promise<void> {
  await bare.bareJob(seq);
}

export async function handWrittenWorkflow(id: string): Promise<void> {
  await handWritten.handWrittenJob(id);
}
