// `npm run bench`: what a job costs with this library, against the same job written by hand and against Temporal alone.
// Rounds are interleaved (A B C, A B C, …), so that what changes on the machine meanwhile hits everybody.
import { CALLERS, atOnce } from './scenarios/at-once.ts';
import { idleLatency } from './scenarios/idle-latency.ts';
import { countsPerJob, readCounts } from './measure/counters.ts';
import { HELP, readOptions, type Options } from './options.ts';
import { writeReport } from './report/write-report.ts';
import { toTables } from './report/tables.ts';
import { toJsonLine, type Result, type Scenario } from './result.ts';
import { startServers, type Servers } from './servers.ts';
import { Stage } from './stage.ts';
import type { ContestantName } from './contestants/index.ts';

const options = parse();
const results: Result[] = [];
let broken = 0;
{
  await using servers = await startServers();
  for (let round = 1; round <= options.rounds; round++) {
    for (const contestant of options.contestants) await perform(servers, contestant, round);
  }
  if (!options.json) console.log(toTables(results));
  if (options.report && broken === 0) await writeReport({ options, results, versions: servers.versions });
}
if (broken > 0) {
  console.error(`${broken} broken runs, which have no figures.`);
  process.exitCode = 1;
}

async function perform(servers: Servers, contestant: ContestantName, round: number): Promise<void> {
  try {
    await using stage = await Stage.open(servers, { contestant, concurrency: options.concurrency, cpuProfiles: options.cpuProfiles });
    await warmUp(stage);
    let before = await readCounts(stage.counters);
    for (const scenario of options.scenarios) {
      const figures = await play(stage, scenario);
      const after = await readCounts(stage.counters);
      const perJob = await countsPerJob(stage.counters, before, after, figures.n);
      before = after;
      keep({ scenario, contestant, round, ...figures, perJob });
    }
  } catch (error) {
    broken += 1;
    console.error(`round ${round}, ${contestant}: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

async function warmUp(stage: Stage): Promise<void> {
  await stage.producer.call('enqueueMany', stage.take(options.warmUpJobs), options.warmUpJobs, CALLERS);
  await stage.allDone();
  await stage.settle();
}

function play(stage: Stage, scenario: Scenario): ReturnType<typeof atOnce> {
  switch (scenario) {
    case 'at-once':
      return atOnce(stage, options.jobs);
    case 'idle-latency':
      return idleLatency(stage, options.idleJobs);
  }
}

function keep(result: Result): void {
  results.push(result);
  if (options.json) console.log(toJsonLine(result));
  const { scenario, contestant, round, jobsPerS, cpuMsPerJob, p50Ms, foreignCores } = result;
  const latency = p50Ms === null ? '' : `, p50 ${p50Ms.toFixed(1)} ms`;
  console.error(
    `round ${round}/${options.rounds} ${scenario} ${contestant}: ${jobsPerS.toFixed(1)} jobs/s, ` +
      `${cpuMsPerJob.all.toFixed(1)} CPU ms per job${latency}; others used ${foreignCores.toFixed(2)} cores`,
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
