// Runs cases of the peers' benchmark in interleaved rounds, each in a process of its own, and reads the lines that it prints.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { findTemporalCli, freePorts } from '../../../src/dev/index.ts';
import type { Result } from '../result.ts';
import { CASES, type Case, type Spec } from './cases.ts';
import { prepareCheckout } from './checkout.ts';

export interface PeersOptions {
  /** Of the peers' benchmark. */
  folder: string;
  rounds: number;
  isQuick: boolean;
  keep(result: Result): void;
  fail(complaint: string): void;
}

/** What its kind `quick` prints: at once, with a warm worker. CPU is in seconds per thousand jobs. */
type Line =
  | { metric: 'error'; error: string }
  | { metric: 'quick'; n: number; value: number; enqueue_rate: number; cpu1000: Record<string, number>; rss_peak: number; foreign: number };

interface Harness {
  folder: string;
  plan: readonly Spec[];
}

interface HarnessServers {
  startPostgres(): Promise<{ stop(): Promise<void> }>;
  versions(): Record<string, string | null>;
}

const VERSIONS = ['bullmq', 'pg-boss', 'postgres', 'redis', 'python'];
const PATIENCE_MS = 300_000;
const QUICK_JOBS = 60;

/** Returns the versions of what was measured. @throws Error that says what is missing on this machine */
export async function measurePeers(options: PeersOptions): Promise<Record<string, string>> {
  const folder = await prepareCheckout(options.folder);
  const temporary = await mkdtemp(path.join(tmpdir(), 'asyncjob-peers-'));
  const [postgresPort, redisPort, temporalPort] = await freePorts(3);
  Object.assign(process.env, {
    BENCH_TMP: temporary,
    BENCH_PG_PORT: postgresPort,
    BENCH_REDIS_PORT: redisPort,
    BENCH_TEMPORAL_PORT: temporalPort,
    TEMPORAL_CLI: (await findTemporalCli()).path,
    ASYNCJOB_LOG_LEVEL: 'warn',
    NODE_NO_WARNINGS: '1',
  });
  const load = async <T>(file: string) => (await import(pathToFileURL(path.join(folder, file)).href)) as T;
  const servers = await load<HarnessServers>('src/lib/servers.mjs');
  const { CONFIGS: plan } = await load<{ CONFIGS: Spec[] }>('src/plan.mjs');
  const postgres = await servers.startPostgres();
  try {
    for (let round = 1; round <= options.rounds; round++) {
      for (const one of CASES) await runCase({ folder, plan }, one, round, options);
    }
  } finally {
    await postgres.stop();
    await rm(temporary, { recursive: true, force: true });
  }
  const all = Object.entries(servers.versions());
  return Object.fromEntries(all.filter((one): one is [string, string] => VERSIONS.includes(one[0]) && one[1] !== null));
}

async function runCase({ folder, plan }: Harness, { name, jobs, spec }: Case, round: number, options: PeersOptions): Promise<void> {
  const base = typeof spec === 'string' ? plan.find(({ id }) => id === spec) : spec;
  if (base === undefined) return options.fail(`peers, ${name}: it is not in the plan`);
  const full = { ...base, kind: 'quick', rep: round, n: options.isQuick ? QUICK_JOBS : jobs };
  const child = spawn(process.execPath, [path.join(folder, 'src/case.mjs'), JSON.stringify(full)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  let isMeasured = false;
  for await (const text of createInterface({ input: child.stdout })) {
    if (!text.startsWith('{"case"')) continue;
    const line = JSON.parse(text) as Line;
    if (line.metric === 'error') options.fail(`peers, ${name}, round ${round}: ${line.error}`);
    else options.keep(toResult(name, round, line));
    isMeasured = true;
  }
  clearTimeout(late);
  await ended;
  if (!isMeasured) options.fail(`peers, ${name}, round ${round}: no result`);
}

function toResult(contestant: string, round: number, line: Extract<Line, { metric: 'quick' }>): Result {
  const { driver, worker, temporal = 0, postgres = 0, redis = 0, all } = line.cpu1000;
  return {
    scenario: 'peers',
    contestant,
    round,
    n: line.n,
    jobsPerS: line.value,
    cpuMsPerJob: { producer: driver!, worker: worker!, temporal, postgres, redis, all: all! },
    foreignCores: line.foreign,
    more: { enqueuePerS: line.enqueue_rate, workerPeakMb: line.rss_peak },
  };
}
