// This library, with many rows per workflow.
import { asyncJob, p, type JobOptions } from 'asyncjob';
import { contestant } from './asyncjob.ts';
import { NOTE, type Contestant } from './contestant.ts';

class BenchJob extends asyncJob('BenchJob', { seq: p.integer(), note: p.text().nullable() }) {
  static override options: JobOptions = { lane: { concurrency: 50 } };
}

export const inLanes: Contestant = contestant(BenchJob, async (seq) => (await BenchJob.enqueue({ seq, note: NOTE })).id);
