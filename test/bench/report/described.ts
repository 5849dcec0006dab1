// What the report knows of a scenario, those of the peers' benchmark included.
import { PEERS } from '../peers/scenario.ts';
import { scenarioOf, SCENARIO_NAMES, type ScenarioName } from '../scenarios/index.ts';
import type { Scenario } from '../scenarios/scenario.ts';

export type Described = Pick<Scenario, 'title' | 'what' | 'scale' | 'columns' | 'pictures'>;

/** In the order of the page. */
export const DESCRIBED_NAMES: readonly string[] = ['at-once', 'peers', ...SCENARIO_NAMES.filter((name) => name !== 'at-once')];

export function described(name: string): Described {
  return name === 'peers' ? PEERS : scenarioOf(name as ScenarioName);
}
