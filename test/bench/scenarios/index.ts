// The scenarios by name, in the order of the page.
import { atOnce } from './at-once.ts';
import { concurrency } from './concurrency.ts';
import { drain } from './drain.ts';
import { enqueueMany } from './enqueue-many.ts';
import { idleLatency } from './idle-latency.ts';
import { idle } from './idle.ts';
import { memory } from './memory.ts';
import { payload } from './payload.ts';
import { progress } from './progress.ts';
import { queues } from './queues.ts';
import type { Scenario } from './scenario.ts';
import { tableSize } from './table-size.ts';
import { workers } from './workers.ts';

export const SCENARIOS = {
  'at-once': atOnce,
  'idle-latency': idleLatency,
  'enqueue-many': enqueueMany,
  drain,
  concurrency,
  workers,
  'table-size': tableSize,
  queues,
  progress,
  payload,
  idle,
  memory,
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];

export function scenarioOf(name: ScenarioName): Scenario {
  return SCENARIOS[name];
}
