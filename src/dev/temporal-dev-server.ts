// Temporal's development server (`temporal server start-dev`), on the loopback interface only.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncJobError } from '../domain/errors.ts';
import { spawnServer, type ChildServer } from './child-server.ts';
import { freePorts, isPortFree, LOOPBACK } from './free-port.ts';
import { findTemporalCli } from './temporal-cli.ts';

export interface TemporalOptions {
  /** Path of the Temporal CLI. @default what `findTemporalCli()` finds */
  cli?: string;
  /** Of the gRPC address. @default a free one */
  port?: number;
  /** @default a free one */
  uiPort?: number;
  /** Whether the web UI is served. @default true */
  ui?: boolean;
  /** SQLite file in which workflows survive a restart. Without it they are kept in memory. */
  dbFile?: string;
  /** More dynamic configuration, on top of what is set here. */
  dynamicConfig?: Record<string, unknown>;
  log?: (line: string) => void;
}

export interface TemporalServer {
  /** `host:port` of the gRPC frontend. */
  readonly address: string;
  readonly port: number;
  /** `null` without a UI. */
  readonly uiUrl: string | null;
  readonly pid: number;
  /** May be called again, and after `kill9()`. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash. With a `dbFile`, `startTemporal({ dbFile, port })` starts it again. */
  kill9(): Promise<void>;
}

const START_TIMEOUT_MS = 30_000;
const TRIES_MAX = 3;

// A development server's limits are made for trying things out; jobs in a batch hit them first. One partition, because with the
// usual four a task of a small queue waits for the poller of another partition.
const DYNAMIC_CONFIG: Record<string, unknown> = {
  'frontend.rps': 100_000,
  'frontend.namespaceRPS': 100_000,
  'frontend.namespaceRPS.visibility': 1_000,
  'frontend.namespaceCount': 20_000,
  'history.rps': 100_000,
  'matching.rps': 100_000,
  'frontend.persistenceMaxQPS': 100_000,
  'history.persistenceMaxQPS': 100_000,
  'matching.persistenceMaxQPS': 100_000,
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
};
// Nearly twice the throughput of SQLite's defaults, which wait for the disk at every transaction.
const SQLITE_PRAGMAS = ['journal_mode=WAL', 'synchronous=NORMAL'];

/**
 * Starts a development server; resolves when its namespace `default` answers.
 *
 * @throws AsyncJobError `dev.server_failed`, `temporal.cli_missing`
 */
export async function startTemporal(options: TemporalOptions = {}): Promise<TemporalServer> {
  const { log = () => {}, ui = true } = options;
  for (const port of [options.port, ui ? options.uiPort : undefined]) {
    if (port !== undefined && !(await isPortFree(port)))
      throw failed(`port ${port} is taken. Choose another one, or stop what listens there.`);
  }
  const cli = options.cli ?? (await findTemporalCli({ log })).path;
  if (options.dbFile !== undefined) await mkdir(path.dirname(path.resolve(options.dbFile)), { recursive: true });

  for (let attempt = 1; ; attempt += 1) {
    const ports = await choosePorts(options);
    const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-temporal-'));
    const server = await spawnServer({
      command: cli,
      args: toArguments(options, ports),
      folder,
      stopSignal: 'SIGTERM',
      env: withoutTemporal(process.env),
    }).catch(async (error: unknown) => {
      await rm(folder, { recursive: true, force: true });
      throw failed(`${cli} does not run: ${error instanceof Error ? error.message : error}`, error);
    });
    if (await becameReady(server, ports.http)) {
      const uiUrl = ui ? `http://${LOOPBACK}:${ports.ui}` : null;
      log(`Temporal on ${LOOPBACK}:${ports.grpc} (pid ${server.pid})${uiUrl === null ? '' : `, UI on ${uiUrl}`}`);
      return { address: `${LOOPBACK}:${ports.grpc}`, port: ports.grpc, uiUrl, pid: server.pid, stop: server.stop, kill9: server.kill9 };
    }
    const why = server.ended() ?? `not ready within ${START_TIMEOUT_MS / 1000} s`;
    const text = server.log();
    await server.stop();
    // It takes more ports than it can be told, and somebody else may be faster.
    if (attempt < TRIES_MAX && /address already in use|port .* in use/i.test(text)) continue;
    throw failed(`Temporal's development server (${cli}) on ${LOOPBACK}:${ports.grpc} did not start (${why}). Its log:\n${text}`);
  }
}

interface Ports {
  grpc: number;
  ui: number;
  http: number;
  metrics: number;
}

async function choosePorts(options: TemporalOptions): Promise<Ports> {
  const [grpc, ui, http, metrics] = (await freePorts(4)) as [number, number, number, number];
  return { grpc: options.port ?? grpc, ui: options.uiPort ?? ui, http, metrics };
}

function toArguments(options: TemporalOptions, ports: Ports): string[] {
  const args = ['server', 'start-dev', '--disable-config-file', '--ip', LOOPBACK, '--log-level', 'error'];
  args.push('--port', String(ports.grpc), '--http-port', String(ports.http), '--metrics-port', String(ports.metrics));
  if (options.ui ?? true) args.push('--ui-port', String(ports.ui), '--ui-disable-news-fetch');
  else args.push('--headless');
  if (options.dbFile !== undefined) {
    args.push('--db-filename', path.resolve(options.dbFile), ...SQLITE_PRAGMAS.flatMap((pragma) => ['--sqlite-pragma', pragma]));
  }
  for (const [key, value] of Object.entries({ ...DYNAMIC_CONFIG, ...options.dynamicConfig })) {
    args.push('--dynamic-config-value', `${key}=${JSON.stringify(value)}`);
  }
  return args;
}

// TEMPORAL_* describe the server an application talks to; here they would only confuse the CLI.
function withoutTemporal(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}

// The frontend serves its API over HTTP as well; the namespace answers there when it does over gRPC.
async function becameReady(server: ChildServer, httpPort: number): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (server.ended() === null && Date.now() < deadline) {
    try {
      const answer = await fetch(`http://${LOOPBACK}:${httpPort}/api/v1/namespaces/default`, { signal: AbortSignal.timeout(2_000) });
      await answer.arrayBuffer();
      if (answer.ok) return true;
    } catch {}
    await sleep(50);
  }
  return false;
}

function failed(message: string, cause?: unknown): AsyncJobError {
  return new AsyncJobError('dev.server_failed', message, { cause });
}
