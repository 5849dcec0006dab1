// `npm run chaos`: a long soak under a seed of one's choice, with a table at the end. Ends with 1 when a rule was broken.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { CHAOS_ENGINES } from './fixtures/app/jobs.ts';
import { soak, type SoakReport } from './support/soak.ts';
import { TROUBLE_KINDS } from './support/trouble.ts';

const HELP = `npm run chaos -- [options]

  --minutes M     how long there is trouble, default 10
  --seed S        decides what is killed when; default: a random one, which is printed
  --rate N        jobs per second, default 10
  --workers N     worker processes, default 3
  --engine E,…    who executes the jobs, of ${CHAOS_ENGINES.join(', ')}, default all of them
  --races N       revocations raced afterwards, default 10000
  --outage S      seconds of one long outage of PostgreSQL, default a fifth of the time, at most 180
  --without K,…   kinds of trouble to leave out, of ${TROUBLE_KINDS.join(', ')}
  --json FILE     also write the report there`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    rate: { type: 'string', default: '10' },
    workers: { type: 'string', default: '3' },
    engine: { type: 'string' },
    races: { type: 'string', default: '10000' },
    outage: { type: 'string' },
    without: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) console.log(HELP);
else await run();

async function run(): Promise<void> {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : number('seed', values.seed);
  const lengthMs = number('minutes', values.minutes) * 60_000;
  console.log(`seed ${seed}`);
  const report = await soak({
    seed,
    lengthMs,
    jobsPerSecond: number('rate', values.rate),
    workers: number('workers', values.workers),
    engines: values.engine === undefined ? CHAOS_ENGINES : named('engine', values.engine, CHAOS_ENGINES),
    races: number('races', values.races),
    longOutageMs: values.outage === undefined ? Math.min(180_000, lengthMs / 5) : number('outage', values.outage) * 1_000,
    without: values.without === undefined ? [] : named('without', values.without, TROUBLE_KINDS),
    quietWithinMs: 5 * 60_000,
    log: console.log,
  });
  print(report);
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(report, null, 2));
  if (report.violations.length > 0) process.exitCode = 1;
}

function named<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  const names = text.split(',') as T[];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`--${option}: there is no ${unknown.join(', ')}; there are ${known.join(', ')}`);
  return names;
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name}: '${text}' is no number from 0 on`);
  return value;
}

function print({ jobs, timeToTruth, troubles, explanation, violations, races, ...figures }: SoakReport): void {
  console.log('\nJobs');
  console.table(jobs);
  console.log('Trouble');
  console.table(troubles);
  console.log('Time to truth (ms)');
  console.table(timeToTruth);
  if (races) console.log('Races', { ...races, brokenPromises: races.brokenPromises.length });
  console.table({ ...figures, violations: violations.length });
  if (explanation !== '') console.error(`\n${explanation}`);
}
