// Records the histories that test/contract/histories.test.ts replays: the generic workflow of this version, on a real
// development server, in every scenario. `npm run histories` writes test/contract/histories/<version>/, once per
// version; histories of a released version never change. `npm run histories -- --again` replaces those of a version
// that is still being made.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { startTemporal } from '../src/dev/index.ts';
import { findTemporalCli } from '../src/dev/temporal-cli.ts';
import { resolveTemporal, TemporalConnection } from '../src/temporal/connection.ts';
import { TemporalCalls } from '../src/temporal/temporal-calls.ts';
import { WorkflowEngine } from '../src/temporal/workflow-engine.ts';
import { VERSION } from '../src/version.ts';
import { SCENARIOS, type Scenario } from './history-scenarios.ts';
import { playLane } from './play-lane.ts';
import { ScenarioPlay, startWorker, type Theatre } from './play-scenario.ts';

const root = path.resolve(import.meta.dirname, '..');
await record(process.argv.includes('--again'));

async function record(again: boolean): Promise<void> {
  const folder = path.join(root, 'test/contract/histories', VERSION);
  if (existsSync(folder) && !again) {
    console.error(
      `${path.relative(root, folder)} is there already. A released version keeps its histories; for one that is not, add -- --again.`,
    );
    process.exit(1);
  }
  const cli = await findTemporalCli();
  const server = await startTemporal({ cli: cli.path, ui: false });
  const connection = new TemporalConnection(resolveTemporal({ address: server.address, namespace: 'default' }, {}));
  const engine = new WorkflowEngine(new TemporalCalls(connection, ''), []);
  try {
    const histories: [string, string][] = [];
    for (const scenario of SCENARIOS) {
      const workflowId = await (scenario.lane ? playLane : playJob)(scenario, { connection, engine, queue: scenario.name });
      histories.push([scenario.name, await showHistory(cli.path, server.address, workflowId)]);
      console.log(`${scenario.name}: ${scenario.closes}`);
    }
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const [name, json] of histories) writeFileSync(path.join(folder, `${name}.json`), json);
  } finally {
    await engine.close();
    await server.stop();
  }
  console.log(`Recorded ${SCENARIOS.length} histories in ${path.relative(root, folder)}.`);
}

/** Runs one job to its end; returns its workflow id. */
async function playJob(scenario: Scenario, theatre: Theatre): Promise<string> {
  const play = new ScenarioPlay(scenario, theatre);
  await play.begin();
  const worker = await startWorker(theatre, play);
  const running = worker.run();
  try {
    await play.end();
  } finally {
    worker.shutdown();
    await running;
  }
  return play.handle.workflowId;
}

/** As `temporal workflow show -o json` gives it, without what is this machine's. */
async function showHistory(cli: string, address: string, workflowId: string): Promise<string> {
  const args = ['workflow', 'show', '--workflow-id', workflowId, '--address', address, '--namespace', 'default', '--output', 'json'];
  const { stdout } = await promisify(execFile)(cli, args, { maxBuffer: 10_000_000 });
  return `${stdout
    .replaceAll(new RegExp(`\\b\\d+@${hostname().replaceAll('.', '\\.')}`, 'g'), 'client')
    .replaceAll(hostname(), 'host')
    .replaceAll(`file://${root}/`, '')
    .replaceAll(`${root}/`, '')
    .trim()}\n`;
}
