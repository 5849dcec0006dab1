// PostgreSQL and Temporal of one's own, to be killed and started again in place: same port, same data unless it is
// thrown away.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findTemporalCli, startPostgres, startTemporal } from '../../../src/dev/index.ts';
import { lastingPort } from '../../support/lasting-port.ts';
import type { Incidents } from './incidents.ts';

interface Process {
  readonly pid: number;
  stop(): Promise<void>;
  kill9(): Promise<void>;
}

export class RestartableServer implements AsyncDisposable {
  readonly name: 'postgres' | 'temporal';
  readonly #begin: () => Promise<Process>;
  readonly #lose: () => Promise<void>;
  readonly #incidents: Incidents;
  #process: Process;
  #state: 'running' | 'killed' | 'frozen' = 'running';

  private constructor(
    name: 'postgres' | 'temporal',
    process: Process,
    { begin, lose, incidents }: { begin: () => Promise<Process>; lose: () => Promise<void>; incidents: Incidents },
  ) {
    this.name = name;
    this.#process = process;
    this.#begin = begin;
    this.#lose = lose;
    this.#incidents = incidents;
  }

  static async postgres(incidents: Incidents): Promise<RestartableServer & { url: string; port: number }> {
    const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-chaos-postgres-'));
    await chmod(folder, 0o755);
    const port = await lastingPort();
    // Killed processes lose nothing that the operating system has; its own crash is not played here.
    const settings = { fsync: 'off', full_page_writes: 'off', max_connections: 400 };
    const begin = () => startPostgres({ dataDir: path.join(folder, 'data'), port, settings });
    const first = await begin();
    const lose = () => rm(folder, { recursive: true, force: true });
    return Object.assign(new RestartableServer('postgres', first, { begin, lose, incidents }), { url: first.url, port });
  }

  static async temporal(incidents: Incidents): Promise<RestartableServer & { address: string; port: number; cli: string }> {
    const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-chaos-temporal-'));
    const port = await lastingPort();
    const { path: cli } = await findTemporalCli();
    const begin = () => startTemporal({ cli, ui: false, port, dbFile: path.join(folder, 'data/temporal.db') });
    const first = await begin();
    const lose = () => rm(path.join(folder, 'data'), { recursive: true, force: true });
    return Object.assign(new RestartableServer('temporal', first, { begin, lose, incidents }), { address: first.address, port, cli });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** SIGKILL. */
  async kill9(): Promise<void> {
    this.#incidents.outageBegan(this.name);
    this.#state = 'killed';
    await this.#process.kill9();
  }

  /** Starts again on the same port; `without: 'data'` on an empty store. */
  async start({ without }: { without?: 'data' } = {}): Promise<void> {
    await this.#process.stop();
    if (without === 'data') await this.#lose();
    this.#process = await this.#begin();
    this.#state = 'running';
    this.#incidents.outageEnded(this.name, without === 'data');
  }

  async restart(options: { without?: 'data' } = {}): Promise<void> {
    await this.kill9();
    await this.start(options);
  }

  /** SIGSTOP: it neither answers nor refuses. */
  freeze(): void {
    this.#incidents.outageBegan(this.name);
    this.#state = 'frozen';
    process.kill(this.pid, 'SIGSTOP');
  }

  /** SIGCONT. */
  thaw(): void {
    process.kill(this.pid, 'SIGCONT');
    this.#state = 'running';
    this.#incidents.outageEnded(this.name, false);
  }

  /** Brings it back when a test that failed left it away. */
  async mend(): Promise<void> {
    if (this.#state === 'frozen') this.thaw();
    if (this.#state === 'killed') await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    await this.#lose();
  }
}
