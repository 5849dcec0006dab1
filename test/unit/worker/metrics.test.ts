import { PerformanceObserver } from 'node:perf_hooks';
import { expect, it, vi } from 'vitest';
import { FactCounts } from '../../../src/domain/fact-counts.ts';
import { WorkerMetrics } from '../../../src/worker/metrics.ts';

it('shows what others count at the moment, and what it is told', async () => {
  const facts = new FactCounts();
  let lastSweep: { found: number; oldestMs: number } | null = { found: 0, oldestMs: 0 };
  const metrics = new WorkerMetrics({ facts, attemptsRunning: () => 3, lastSweep: () => lastSweep });
  const before = await metrics.text();
  expect(before).toContain('asyncjob_undispatched_jobs 0\n');
  for (const kind of ['dispatch', 'revoke', 'fail', 'next_run', 'cancel', 'terminate', 'report'])
    expect(before).toContain(`asyncjob_repairs_total{repair="${kind}"} 0\n`);
  facts.count('handed_back', { jobType: 'Report', id: 'a' }, 'duplicate');
  facts.attempts.waited({ jobType: 'Report', queue: 'slow' }, 700);
  facts.attempts.ran({ jobType: 'Report', queue: 'slow', outcome: 'handedBack' }, 40_000);
  lastSweep = { found: 7, oldestMs: 61_500 };
  metrics.repaired('next_run');
  metrics.blockEnded(1_500);
  metrics.blockEnded(2_000);
  const text = await metrics.text();
  for (const line of [
    'asyncjob_facts_total{fact="handed_back",result="duplicate"} 1',
    'asyncjob_attempts_running 3',
    'asyncjob_undispatched_jobs 7',
    'asyncjob_undispatched_oldest_seconds 61.5',
    'asyncjob_repairs_total{repair="next_run"} 1',
    'asyncjob_event_loop_blocks_total 2',
    'asyncjob_wait_seconds_bucket{le="0.5",job_type="Report",queue="slow"} 0',
    'asyncjob_wait_seconds_bucket{le="1",job_type="Report",queue="slow"} 1',
    'asyncjob_attempt_seconds_sum{job_type="Report",queue="slow",outcome="handed_back"} 40',
    'asyncjob_event_loop_blocked_seconds_total 3.5',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(await metrics.text()).toBe(text);
  lastSweep = null;
  expect(await metrics.text()).not.toMatch(/^asyncjob_undispatched/m);
  lastSweep = { found: 1, oldestMs: 10 };
  expect(await metrics.text()).toContain('asyncjob_undispatched_jobs 1\n');
});

it('watches the process once, however many workers there are in it', async () => {
  const observers = vi.spyOn(PerformanceObserver.prototype, 'observe');
  const sources = { facts: new FactCounts(), attemptsRunning: () => 0, lastSweep: () => null };
  const workers = [1, 2, 3].map(() => new WorkerMetrics(sources));
  for (const metrics of workers) metrics.collectProcess();
  expect(observers).toHaveBeenCalledTimes(1);
  sources.facts.attempts.ran({ jobType: 'Report', queue: 'slow', outcome: 'succeeded' }, 1_000);
  for (const metrics of workers) {
    const text = await metrics.text();
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).toContain('asyncjob_attempt_seconds_count{job_type="Report",queue="slow",outcome="succeeded"} 1\n');
  }
});
