// This library, with a standalone activity per job instead of a workflow.
import { asyncJob, p, type JobOptions } from 'asyncjob';
import { contestant } from './asyncjob.ts';
import { NOTE, type Contestant } from './contestant.ts';

class BenchJob extends asyncJob('BenchJob', { seq: p.integer(), note: p.text().nullable() }) {
  static override options: JobOptions = { engine: 'activity' };
}

export const asActivities: Contestant = contestant(BenchJob, async (seq) => (await BenchJob.enqueue({ seq, note: NOTE })).id);
