// The command line of the bench.
import { parseArgs } from 'node:util';
import { CONTESTANT_NAMES, type ContestantName } from './contestants/index.ts';
import { SCENARIOS, type Scenario } from './result.ts';

export interface Options {
  scenarios: Scenario[];
  contestants: ContestantName[];
  rounds: number;
  /** Of a run of at-once. */
  jobs: number;
  /** Of a run of idle-latency. */
  idleJobs: number;
  warmUpJobs: number;
  concurrency: number;
  json: boolean;
  report: boolean;
  cpuProfiles: string | undefined;
}

export const HELP = `npm run bench -- [options]

  --scenario NAME,…      ${SCENARIOS.join(', ')}; default: both
  --contestants NAME,…   ${CONTESTANT_NAMES.join(', ')}; default: all, with --quick the first three
  --rounds N             default 3, interleaved
  --jobs N               jobs of a run of at-once, default 2000
  --concurrency N        of the worker, default 50
  --quick                one small round that only shows that everything works
  --json                 a line per contestant and round instead of tables
  --report               also write the tables into docs/benchmarks.md
  --cpu-prof FOLDER      write V8's CPU profiles of producers and workers there`;

const IDLE_JOBS = 100;
const QUICK = { rounds: 1, jobs: 40, idleJobs: 4, warmUpJobs: 15 };
const QUICK_CONTESTANTS = 'bare-temporal,hand-written,asyncjob/each';

/** @throws Error that says what is wrong */
export function readOptions(args: string[]): Options | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      scenario: { type: 'string' },
      contestants: { type: 'string' },
      rounds: { type: 'string' },
      jobs: { type: 'string' },
      concurrency: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      'cpu-prof': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const jobs = count('--jobs', values.jobs) ?? (values.quick ? QUICK.jobs : 2_000);
  return {
    scenarios: names('--scenario', values.scenario, SCENARIOS),
    contestants: names('--contestants', values.contestants ?? (values.quick ? QUICK_CONTESTANTS : undefined), CONTESTANT_NAMES),
    rounds: count('--rounds', values.rounds) ?? (values.quick ? QUICK.rounds : 3),
    jobs,
    idleJobs: values.quick ? QUICK.idleJobs : IDLE_JOBS,
    warmUpJobs: values.quick ? QUICK.warmUpJobs : Math.min(300, jobs),
    concurrency: count('--concurrency', values.concurrency) ?? 50,
    json: values.json,
    report: values.report,
    cpuProfiles: values['cpu-prof'],
  };
}

function names<T extends string>(option: string, value: string | undefined, known: readonly T[]): T[] {
  if (value === undefined) return [...known];
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
