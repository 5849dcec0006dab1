// Results as tables: a row per contestant and place on the scale, figures as min – median – max of the rounds; and the ratios
// between contestants, taken within each round.
import { spreadOf } from '../measure/spread.ts';
import { figureOf, type Result } from '../result.ts';
import type { Column } from '../scenarios/scenario.ts';
import { described } from './described.ts';
import { figure, table } from './markdown.ts';

/** More of it in one of the rounds marks a row. */
const FOREIGN_CORES_MAX = 0.3;
/** Who is compared with whom. */
const RATIOS: readonly (readonly [ours: string, theirs: readonly string[]])[] = [
  ['asyncjob/each', ['hand-written', 'bare-temporal']],
  ['asyncjob/activity', ['hand-written', 'asyncjob/each']],
  ['asyncjob/lane', ['bullmq+row', 'pgboss+row', 'celery+django', 'asyncjob/each']],
];
const COMPARED = [
  { key: 'jobsPerS', label: 'jobs/s' },
  { key: 'cpuMsPerJob.all', label: 'CPU, all' },
  { key: 'cpuMsPerJob.producer', label: 'CPU, producer' },
  { key: 'cpuMsPerJob.worker', label: 'CPU, worker' },
];

/** All scenarios of the results. */
export function toTables(results: readonly Result[]): string {
  return [...new Set(results.map(({ scenario }) => scenario))]
    .map((scenario) => {
      const of = results.filter((result) => result.scenario === scenario);
      return [described(scenario).title, ...tablesOf(scenario, of)].join('\n\n');
    })
    .join('\n\n');
}

export function tablesOf(scenario: string, results: readonly Result[]): string[] {
  const isCompared = described(scenario).scale === undefined && results.some(({ jobsPerS }) => jobsPerS !== undefined);
  const ratios = isCompared ? ratioTable(results) : null;
  const note = results.some(isDisturbed)
    ? `\\* others used more than ${FOREIGN_CORES_MAX} processors of this machine in one of the rounds.`
    : null;
  return [figureTable(scenario, results), ratios, note].filter((part) => part !== null);
}

function figureTable(scenario: string, results: readonly Result[]): string {
  const { scale, columns } = described(scenario);
  const groups = Map.groupBy(results, ({ contestant, x }) => `${contestant} ${x}`);
  const rows = [...groups.values()]
    .toSorted(([a], [b]) => orderOf(results, a!) - orderOf(results, b!) || (a!.x ?? 0) - (b!.x ?? 0))
    .map((of) => {
      const [{ contestant, x }] = of as [Result];
      const name = of.some(isDisturbed) ? `${contestant} \\*` : contestant;
      return [name, ...(scale ? [count(x!)] : []), ...columns.map((column) => cell(of, column))];
    });
  return table(['', ...(scale ? [scale.label] : []), ...columns.map(({ label }) => label)], rows);
}

function orderOf(results: readonly Result[], { contestant }: Result): number {
  return results.findIndex((result) => result.contestant === contestant);
}

function cell(of: readonly Result[], { key }: Column): string {
  const values = of.map((result) => figureOf(result, key)).filter((value) => value !== undefined);
  return values.length === 0 ? '–' : inWords(values);
}

function ratioTable(results: readonly Result[]): string | null {
  const has = (name: string) => results.some(({ contestant }) => contestant === name);
  const pairs = RATIOS.flatMap(([ours, theirs]) => (has(ours) ? theirs.filter(has).map((name) => [ours, name] as const) : []));
  if (pairs.length === 0) return null;
  const rows = pairs.map(([ours, theirs]) => [`${ours} ÷ ${theirs}`, ...COMPARED.map(({ key }) => ratio(results, key, ours, theirs))]);
  return table(['ratio, round by round', ...COMPARED.map(({ label }) => label)], rows);
}

function ratio(results: readonly Result[], key: string, ours: string, theirs: string): string {
  const ratios = results.flatMap((result) => {
    const other = results.find(({ contestant, round }) => contestant === theirs && round === result.round);
    if (result.contestant !== ours || other === undefined) return [];
    const [value, base] = [figureOf(result, key), figureOf(other, key)];
    return value === undefined || !base ? [] : [value / base];
  });
  return ratios.length === 0 ? '–' : inWords(ratios);
}

function isDisturbed({ foreignCores = 0 }: Result): boolean {
  return foreignCores > FOREIGN_CORES_MAX;
}

function inWords(values: readonly number[]): string {
  const { min, median, max } = spreadOf(values);
  return values.length === 1 ? figure(median) : [min, median, max].map(figure).join(' – ');
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
