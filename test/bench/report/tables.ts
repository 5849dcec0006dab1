// All results as tables: figures as min – median – max of the rounds, and the ratios between contestants, taken within
// each round.
import type { ContestantName } from '../contestants/index.ts';
import { CONTESTANT_NAMES } from '../contestants/index.ts';
import { PARTS } from '../measure/meter.ts';
import { spreadOf } from '../measure/spread.ts';
import type { Latency, Result, Scenario } from '../result.ts';
import { figure, table } from './markdown.ts';

/** More of it in one of the rounds marks a contestant's figures. */
const FOREIGN_CORES_MAX = 0.3;

export function toTables(results: readonly Result[]): string {
  const sections = [atOnceTable(results), idleTable(results), ratioTable(results), countsTable(results)].filter(
    (section) => section !== null,
  );
  const disturbed = results.some(isDisturbed)
    ? [`\\* others used more than ${FOREIGN_CORES_MAX} cores of this machine in one of the rounds.`]
    : [];
  return [...sections, ...disturbed].join('\n\n');
}

function atOnceTable(results: readonly Result[]): string | null {
  const rows = byContestant(results, 'at-once', (of) => [
    spread(of, ({ jobsPerS }) => jobsPerS),
    spread(of, ({ enqueuePerS }) => enqueuePerS!),
    ...PARTS.map((part) => median(of, ({ cpuMsPerJob }) => cpuMsPerJob[part])),
    spread(of, ({ cpuMsPerJob }) => cpuMsPerJob.all),
    median(of, ({ workerRssMb }) => workerRssMb),
  ]);
  if (rows.length === 0) return null;
  const head = ['at once', 'jobs/s', 'enqueue/s', ...PARTS, 'CPU ms per job: all', 'worker peak MB'];
  return table(head, rows);
}

function idleTable(results: readonly Result[]): string | null {
  const moment = (of: readonly Result[], name: keyof NonNullable<Result['latency']>) => {
    const at = (percent: keyof Latency) => median(of, ({ latency }) => latency![name][percent]);
    return `${at('p50Ms')} / ${at('p99Ms')}`;
  };
  const rows = byContestant(results, 'idle-latency', (of) => [
    moment(of, 'enqueued'),
    moment(of, 'started'),
    moment(of, 'seen'),
    spread(of, ({ p50Ms }) => p50Ms!),
    median(of, ({ cpuMsPerJob }) => cpuMsPerJob.all),
  ]);
  if (rows.length === 0) return null;
  return table(
    ['idle, ms after the call: p50 / p99', 'it returns', 'handler starts', 'end is seen', 'p50 of the end in the rounds', 'CPU ms per job'],
    rows,
  );
}

/** What is compared, with a scenario in which it is measured. */
const COMPARED: { what: string; scenario: Scenario; of: (result: Result) => number }[] = [
  { what: 'jobs/s', scenario: 'at-once', of: ({ jobsPerS }) => jobsPerS },
  { what: 'enqueue/s', scenario: 'at-once', of: ({ enqueuePerS }) => enqueuePerS! },
  { what: 'CPU, all', scenario: 'at-once', of: ({ cpuMsPerJob }) => cpuMsPerJob.all },
  { what: 'CPU, producer', scenario: 'at-once', of: ({ cpuMsPerJob }) => cpuMsPerJob.producer },
  { what: 'CPU, worker', scenario: 'at-once', of: ({ cpuMsPerJob }) => cpuMsPerJob.worker },
  { what: 'idle: handler starts, p50', scenario: 'idle-latency', of: ({ latency }) => latency!.started.p50Ms },
  { what: 'idle: end is seen, p50', scenario: 'idle-latency', of: ({ p50Ms }) => p50Ms! },
  { what: 'idle: end is seen, p99', scenario: 'idle-latency', of: ({ p99Ms }) => p99Ms! },
];

function ratioTable(results: readonly Result[]): string | null {
  const has = (name: ContestantName) => results.some(({ contestant }) => contestant === name);
  const pairs = (['asyncjob/each', 'asyncjob/one-insert'] as const)
    .filter(has)
    .flatMap((ours) => (['hand-written', 'bare-temporal'] as const).filter(has).map((theirs) => [ours, theirs] as const));
  if (pairs.length === 0) return null;
  const rows = COMPARED.filter(({ scenario }) => results.some((result) => result.scenario === scenario)).map(({ what, scenario, of }) => [
    what,
    ...pairs.map(([ours, theirs]) => {
      const ratios = results.flatMap((result) => {
        if (result.scenario !== scenario || result.contestant !== ours) return [];
        const other = results.find(
          ({ round, ...each }) => round === result.round && each.scenario === scenario && each.contestant === theirs,
        );
        return other === undefined || of(other) === 0 ? [] : [of(result) / of(other)];
      });
      return ratios.length === 0 ? '–' : inWords(ratios);
    }),
  ]);
  return table(['ratio, round by round', ...pairs.map(([ours, theirs]) => `${ours} ÷ ${theirs}`)], rows);
}

function countsTable(results: readonly Result[]): string | null {
  // Under load there is a job for everything that is sent; on an idle system polls and beats come on top.
  const scenario: Scenario = results.some((result) => result.scenario === 'at-once') ? 'at-once' : 'idle-latency';
  const rows = byContestant(results, scenario, (of) => [
    median(of, ({ perJob }) => perJob.statements),
    breakdown(of.at(-1)!.perJob.statementsByVerb),
    median(of, ({ perJob }) => perJob.rpcs),
    breakdown(of.at(-1)!.perJob.rpcsByName),
    median(of, ({ perJob }) => perJob.polls),
    median(of, ({ perJob }) => perJob.temporalStoreCalls),
    median(of, ({ perJob }) => perJob.historyEvents),
  ]);
  if (rows.length === 0) return null;
  return table(
    ['per job', 'statements', 'which', 'calls to Temporal', 'which', 'polls', "calls of Temporal's store", 'history events'],
    rows,
  );
}

function byContestant(results: readonly Result[], scenario: Scenario, cells: (of: readonly Result[]) => string[]): string[][] {
  return CONTESTANT_NAMES.flatMap((name) => {
    const of = results.filter((result) => result.scenario === scenario && result.contestant === name);
    return of.length === 0 ? [] : [[of.some(isDisturbed) ? `${name} \\*` : name, ...cells(of)]];
  });
}

function isDisturbed({ foreignCores }: Result): boolean {
  return foreignCores > FOREIGN_CORES_MAX;
}

function spread(of: readonly Result[], value: (result: Result) => number): string {
  return inWords(of.map(value));
}

function median(of: readonly Result[], value: (result: Result) => number): string {
  return figure(spreadOf(of.map(value)).median);
}

function inWords(values: readonly number[]): string {
  const { min, median, max } = spreadOf(values);
  return values.length === 1 ? figure(median) : [min, median, max].map(figure).join(' – ');
}

function breakdown(counts: Record<string, number>): string {
  return Object.entries(counts)
    .filter(([, count]) => count >= 0.05)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${figure(count)} ${name}`)
    .join(', ');
}
