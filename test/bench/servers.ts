// What a run has once: a durable PostgreSQL, the role that applications connect as, and the bundled workflows.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import pg from 'pg';
import { findTemporalCli, startPostgres, type PostgresServer } from '../../src/dev/index.ts';

export interface Servers extends AsyncDisposable {
  readonly postgres: PostgresServer;
  /** A superuser's connections to the database `postgres`, which has pg_stat_statements. */
  readonly admin: pg.Pool;
  readonly role: string;
  /** Versions for the report. */
  readonly versions: { PostgreSQL: string; Temporal: string };
  readonly temporalCli: string;
  readonly workflowBundle: string;
  /** For files that go with the run. */
  readonly folder: string;
  /** A database of the role's own, empty or a copy. */
  createDatabase(name: string, template?: string): Promise<void>;
  /** Its URL for the role, or for the superuser. */
  urlOf(database: string, as?: 'role' | 'superuser'): string;
}

const ROLE = 'application';
/** PostgreSQL's defaults, which the development server lowers for data that nobody keeps. */
const DURABLE = { fsync: 'on', full_page_writes: 'on' };
const COUNTING = { shared_preload_libraries: 'pg_stat_statements', compute_query_id: 'on' };

export async function startServers(): Promise<Servers> {
  const cli = await findTemporalCli();
  const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-bench-'));
  const [postgres, workflowBundle] = await Promise.all([startPostgres({ settings: { ...DURABLE, ...COUNTING } }), bundleWorkflows(folder)]);
  const admin = new pg.Pool({ connectionString: postgres.url, max: 3 });
  admin.on('error', () => {}); // an idle connection, when the server ends
  const password = randomBytes(12).toString('hex');
  await admin.query(`create extension pg_stat_statements`);
  await admin.query(`create role ${ROLE} login password '${password}'`);
  const { rows } = await admin.query<{ server_version: string }>('show server_version');
  return {
    postgres,
    admin,
    role: ROLE,
    versions: { PostgreSQL: rows[0]!.server_version, Temporal: cli.version.replace('temporal version', 'CLI') },
    temporalCli: cli.path,
    workflowBundle,
    folder,
    async createDatabase(name, template = 'template1') {
      // Copying files takes less than writing all of them to the log.
      await admin.query(`create database ${name} owner ${ROLE} template ${template} strategy file_copy`);
    },
    urlOf(database, as = 'role') {
      const url = new URL(postgres.url);
      url.pathname = `/${database}`;
      if (as === 'role') [url.username, url.password] = [ROLE, password];
      return url.href;
    },
    async [Symbol.asyncDispose]() {
      await admin.end();
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function bundleWorkflows(folder: string): Promise<string> {
  const silent = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
  const workflowsPath = fileURLToPath(new URL('contestants/workflows.ts', import.meta.url));
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: silent });
  const file = path.join(folder, 'workflows.js');
  await writeFile(file, code);
  return file;
}
