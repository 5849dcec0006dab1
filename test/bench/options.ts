// The command line of the bench.
import path from 'node:path';
import { parseArgs } from 'node:util';
import { CONTESTANT_NAMES, type ContestantName } from './contestants/index.ts';
import { SCENARIO_NAMES, type ScenarioName } from './scenarios/index.ts';

export interface Options {
  scenarios: ScenarioName[];
  /** `null`: the scenario's. */
  contestants: ContestantName[] | null;
  /** `null`: the scenario's. */
  rounds: number | null;
  /** `null`: the contestant's. */
  jobs: number | null;
  /** Places on the scenario's scale; `null`: the scenario's. */
  at: number[] | null;
  concurrency: number;
  isQuick: boolean;
  /** Folder of the peers' benchmark; `null`: without them. */
  peers: string | null;
  /** What becomes of counts per job: compared with costs.json, or written there. */
  costs: 'guard' | 'update' | null;
  json: boolean;
  report: boolean;
  /** Only writes the page, from the results that are there. */
  render: boolean;
  cpuProfiles: string | undefined;
}

export const HELP = `npm run bench -- [options]

  --scenario NAME,…      ${SCENARIO_NAMES.join(', ')}, or all
                         default: at-once and idle-latency; with --report all; with --quick, --guard or --update-costs at-once;
                         with --peers none but the peers'
  --contestants NAME,…   ${CONTESTANT_NAMES.join(', ')}; default: the scenario's
  --at N,…               places on the scenario's scale, instead of its own (table-size: settled rows)
  --rounds N             interleaved; default 3 of at-once, idle-latency and the peers', 1 of the others
  --jobs N               jobs of a run at once, instead of as many as take some ten seconds
  --concurrency N        of a worker, default 50
  --quick                one small round that only shows that everything works
  --peers [FOLDER]       other libraries, and this one beside them, by the benchmark in that folder; default ../shared/bench-peers
  --guard                fails when a job costs more statements, calls or bytes than test/bench/costs.json says
  --update-costs         writes that file
  --json                 a line per contestant, round and place instead of tables
  --report               also keeps the results in docs/benchmarks, and writes docs/benchmarks.md from all that are there
  --render               measures nothing, only writes docs/benchmarks.md
  --cpu-prof FOLDER      write V8's CPU profiles of producers and workers there`;

const PEERS = path.resolve(import.meta.dirname, '../../../shared/bench-peers');

/** @throws Error that says what is wrong */
export function readOptions(args: string[]): Options | 'help' {
  const { values } = parseArgs({
    args: args.map((arg, i) => (arg === '--peers' && (args[i + 1] ?? '-').startsWith('-') ? `--peers=${PEERS}` : arg)),
    options: {
      scenario: { type: 'string' },
      contestants: { type: 'string' },
      at: { type: 'string' },
      rounds: { type: 'string' },
      jobs: { type: 'string' },
      concurrency: { type: 'string' },
      quick: { type: 'boolean', default: false },
      peers: { type: 'string' },
      guard: { type: 'boolean', default: false },
      'update-costs': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      render: { type: 'boolean', default: false },
      'cpu-prof': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const costs = values['update-costs'] ? 'update' : values.guard ? 'guard' : null;
  const peers = values.peers ?? null;
  return {
    scenarios: scenarios(values.scenario, { ...values, peers, costs }),
    contestants: values.contestants === undefined ? null : names('--contestants', values.contestants, CONTESTANT_NAMES),
    rounds: count('--rounds', values.rounds) ?? (values.quick ? 1 : null),
    jobs: count('--jobs', values.jobs) ?? null,
    at: values.at?.split(',').map((place) => count('--at', place.trim())!) ?? null,
    concurrency: count('--concurrency', values.concurrency) ?? 50,
    isQuick: values.quick,
    peers,
    costs,
    json: values.json,
    report: values.report,
    render: values.render,
    cpuProfiles: values['cpu-prof'],
  };
}

function scenarios(
  given: string | undefined,
  { report, quick, peers, costs }: { report: boolean; quick: boolean; peers: string | null; costs: unknown },
): ScenarioName[] {
  if (given === 'all') return SCENARIO_NAMES;
  if (given !== undefined) return names('--scenario', given, SCENARIO_NAMES);
  if (costs !== null) return ['at-once'];
  if (peers !== null) return [];
  if (report) return SCENARIO_NAMES;
  return quick ? ['at-once'] : ['at-once', 'idle-latency'];
}

function names<T extends string>(option: string, value: string, known: readonly T[]): T[] {
  const given = value.split(',').map((name) => name.trim());
  const unknown = given.filter((name) => !known.includes(name as T));
  if (unknown.length > 0) throw new Error(`${option}: ${unknown.join(', ')} is none of ${known.join(', ')}`);
  return known.filter((name) => given.includes(name));
}

function count(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(value)) throw new Error(`${option}: '${value}' is no whole number from 1 on`);
  return Number(value);
}
