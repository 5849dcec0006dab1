import { expect, it } from 'vitest';
import { FactCounts } from '../../../src/domain/fact-counts.ts';
import { WorkerMetrics } from '../../../src/worker/metrics.ts';

it('shows what others count at the moment, and what it is told', async () => {
  const facts = new FactCounts();
  let lastSweep = { found: 0, oldestMs: 0 };
  const metrics = new WorkerMetrics({ facts, attemptsRunning: () => 3, lastSweep: () => lastSweep });
  expect(await metrics.text()).toContain('asyncjob_undispatched_jobs 0\n');
  facts.count('failed', { jobType: 'Report', id: 'a' }, 'duplicate');
  lastSweep = { found: 7, oldestMs: 61_500 };
  metrics.repaired('lost_execution');
  metrics.blockEnded(1_500);
  metrics.blockEnded(2_000);
  const text = await metrics.text();
  for (const line of [
    'asyncjob_facts_total{fact="failed",result="duplicate"} 1',
    'asyncjob_attempts_running 3',
    'asyncjob_undispatched_jobs 7',
    'asyncjob_undispatched_oldest_seconds 61.5',
    'asyncjob_repairs_total{repair="lost_execution"} 1',
    'asyncjob_event_loop_blocks_total 2',
    'asyncjob_event_loop_blocked_seconds_total 3.5',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(await metrics.text()).toBe(text);
});
