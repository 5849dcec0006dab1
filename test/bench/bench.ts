// `npm run bench`: what a job costs with this library, against the same job written by hand and against Temporal alone, and
// how that grows. Rounds are interleaved (A B C, A B C, …), so that what changes on the machine meanwhile hits everybody.
import { entryOf, type ContestantName } from './contestants/index.ts';
import { costComplaints, writeCosts } from './guard.ts';
import { HELP, readOptions, type Options } from './options.ts';
import { measurePeers } from './peers/measure-peers.ts';
import { renderReport } from './report/render-report.ts';
import { keepResults } from './report/results-files.ts';
import { toTables } from './report/tables.ts';
import { toJsonLine, type Result } from './result.ts';
import { scenarioOf, type ScenarioName } from './scenarios/index.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { startServers, type Servers } from './servers.ts';

const QUICK_JOBS = 20;

const options = parse();
const results: Result[] = [];
let failures = 0;

if (!options.render) await measureAll();
if (options.render || options.report) await renderReport();
if (failures > 0) process.exitCode = 1;

async function measureAll(): Promise<void> {
  if (options.scenarios.length > 0) {
    await using servers = await startServers();
    for (const name of options.scenarios) await measure(servers, name);
  }
  if (options.peers !== null) {
    const { peers: folder, isQuick } = options;
    try {
      const versions = await measurePeers({ folder, rounds: options.rounds ?? 3, isQuick, keep, fail });
      await keepForReport('peers', versions);
    } catch (error) {
      fail((error as Error).message);
    }
  }
  if (!options.json) console.log(toTables(results));
  if (options.costs === 'update') await writeCosts(results);
  if (options.costs === 'guard') (await costComplaints(results)).forEach(fail);
}

async function measure(servers: Servers, name: ScenarioName): Promise<void> {
  const scenario = scenarioOf(name);
  const rounds = options.rounds ?? scenario.rounds ?? 1;
  const contestants = options.contestants ?? scenario.contestants;
  for (let round = 1; round <= rounds; round++) {
    for (const x of placesOf(scenario)) {
      for (const contestant of contestants) {
        try {
          const run = { servers, contestant, x: x ?? 0, isQuick: options.isQuick, concurrency: options.concurrency };
          const points = await scenario.measure({ ...run, jobs: jobsOf(contestant), cpuProfiles: options.cpuProfiles });
          for (const point of points) keep({ scenario: name, contestant, round, ...(x !== null && { x }), ...point });
        } catch (error) {
          fail(`${name}, ${contestant}${x === null ? '' : ` at ${x}`}, round ${round}: ${(error as Error).stack}`);
        }
      }
    }
  }
  await keepForReport(name, servers.versions);
}

function placesOf({ scale }: Scenario): readonly (number | null)[] {
  if (scale === undefined) return [null];
  return options.at ?? (options.isQuick ? scale.quick : scale.values);
}

function jobsOf(contestant: ContestantName): (share?: number) => number {
  const jobs = options.jobs ?? (options.isQuick ? QUICK_JOBS : entryOf(contestant).jobs);
  return (share = 1) => Math.ceil(jobs * share);
}

function keep(result: Result): void {
  results.push(result);
  if (options.json) console.log(toJsonLine(result));
  const { scenario, contestant, round, x, jobsPerS, cpuMsPerJob, foreignCores } = result;
  const said = [
    jobsPerS === undefined ? null : `${jobsPerS.toFixed(1)} jobs/s`,
    cpuMsPerJob === undefined ? null : `${cpuMsPerJob.all.toFixed(2)} CPU ms per job`,
    foreignCores === undefined ? null : `others used ${foreignCores.toFixed(2)} cores`,
  ];
  const where = [scenario, contestant, x === undefined ? null : `at ${x}`, `round ${round}`].filter((word) => word !== null).join(' ');
  console.error(`${where}: ${said.filter((word) => word !== null).join(', ')}`);
}

function fail(complaint: string): void {
  failures += 1;
  console.error(complaint);
}

/** A run that broke has no figures, and leaves those of an earlier one alone. */
async function keepForReport(name: ScenarioName | 'peers', versions: Record<string, string>): Promise<void> {
  if (!options.report) return;
  if (failures > 0) return console.error(`${name}: not kept for the report, because something failed`);
  await keepResults(
    name,
    versions,
    results.filter(({ scenario }) => scenario === name),
  );
}

function parse(): Options {
  try {
    const parsed = readOptions(process.argv.slice(2));
    if (parsed !== 'help') return parsed;
    console.log(HELP);
    process.exit(0);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}
