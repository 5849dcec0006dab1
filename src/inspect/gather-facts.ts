// Finds out everything that doctor judges. Each step has its deadline and fails alone; what does not depend on each
// other runs at the same time, so that an inspection of servers that are away takes seconds.
import path from 'node:path';
import type { LoadedConfig } from '../app/load-config.ts';
import { readSettings, type SettingInputs, type Settings } from '../app/settings.ts';
import { isAsyncJobError } from '../domain/errors.ts';
import { registeredHandlers } from '../entity/handler-registry.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import { resolveTemporal, TemporalConnection } from '../temporal/connection.ts';
import { VERSION } from '../version.ts';
import { find, STEP_DEADLINE_MS, toFailure } from './deadline.ts';
import { isFailure, known, type ApplicationFacts, type Facts, type Failure, type HandlerFacts, type SettingFact } from './facts.ts';
import { openInstallation, type Installation } from './installation.ts';
import { findPackageCopies, LIBRARY } from './package-copies.ts';
import { schemaDiff } from './schema-diff.ts';
import { settingFacts, temporalSettingFacts } from './setting-facts.ts';
import { pollersOf, temporalFacts } from './temporal.ts';

export interface Inspection {
  env: Readonly<Record<string, string | undefined>>;
  /** Of the command line. */
  overrides: SettingInputs;
  cwd: string;
  loadConfig(options: { file?: string | undefined; cwd: string }): Promise<LoadedConfig>;
  /** Repair jobs that Temporal sees otherwise. */
  fix: boolean;
}

/** Shorter than a step, so that the database's own error is heard. */
const DATABASE_TIMEOUT_MS = STEP_DEADLINE_MS - 500;
/** Handlers may take a moment to load; and a `setup` that waits for a server that is away never ends. */
const HANDLERS_DEADLINE_MS = 6_000;
const QUEUES_MAX = 100;
/** A look takes seconds, however many jobs are open; a repair takes its time. */
const COMPARED_MAX = 2_000;
const DIFFERENCES_MAX = 50;
const COMPARISON_DEADLINE_MS = 6_000;
const REPAIR_DEADLINE_MS = 3_600_000;

/** Never rejects. */
export async function gatherFacts(inspection: Inspection): Promise<Facts> {
  const start = await readConfiguration(inspection);
  if (start.ready === null) return { ...NOTHING_KNOWN, ...start.facts };
  const { loaded, settings } = start.ready;

  const temporal = settings.engine !== 'inline' ? openTemporal(loaded, inspection.env) : null;
  const installation = await find('the application', () => openInstallation(loaded, settings, DATABASE_TIMEOUT_MS));
  try {
    const [handlers, database, temporalFound] = await Promise.all([
      isFailure(installation) ? null : lookAtHandlers(installation),
      isFailure(installation) ? null : lookAtDatabase(installation),
      temporal === null || isFailure(temporal) ? temporal : find('Temporal', () => temporalFacts(temporal.connection)),
    ]);
    const facts: Facts = {
      ...NOTHING_KNOWN,
      ...start.facts,
      ...database,
      settings: {
        settings: [
          ...settingFacts(settings, isFailure(installation) ? null : usesDatabaseUrl(installation)),
          ...(temporal === null || isFailure(temporal) ? [] : temporal.settings),
        ],
      },
      application: isFailure(installation) ? installation : applicationFacts(installation),
      handlers,
      temporal: temporalFound,
    };
    const [polling, differences] = await Promise.all([
      lookAtPolling(facts, temporal, settings),
      isFailure(installation) ? null : compare(facts, installation, inspection.fix),
    ]);
    return { ...facts, polling, differences };
  } finally {
    if (!isFailure(installation)) await installation[Symbol.asyncDispose]();
    if (temporal && !isFailure(temporal)) await temporal.connection.close().catch(() => undefined);
  }
}

const NOTHING_KNOWN: Facts = {
  version: VERSION,
  settings: null,
  configuration: null,
  application: null,
  handlers: null,
  packages: { node: process.versions.node, copies: [] },
  database: null,
  schema: null,
  registry: null,
  jobs: null,
  differences: null,
  temporal: null,
  polling: null,
};

interface Start {
  facts: Pick<Facts, 'settings' | 'configuration' | 'packages'>;
  ready: { settings: Settings; loaded: LoadedConfig } | null;
}

async function readConfiguration({ env, overrides, cwd, loadConfig }: Inspection): Promise<Start> {
  const packagesFor = (file: string) => findPackageCopies({ application: file, asyncjob: LIBRARY });
  // Any name in the folder does: what would be imported from there.
  const here = () => packagesFor(`${cwd}/asyncjob.config.js`);
  let settings: Settings;
  try {
    settings = readSettings(env, overrides);
  } catch (error) {
    return { facts: { settings: toFailure(error), configuration: null, packages: here() }, ready: null };
  }
  try {
    const loaded = await loadConfig({ file: settings.appFile ?? undefined, cwd });
    const { file, config } = loaded;
    settings = readSettings(env, overrides, { engine: config.engine });
    const configuration = { file, shownAs: path.relative(cwd, file) || file, name: config.name ?? '', engine: settings.engine };
    return { facts: { settings: null, configuration, packages: packagesFor(file) }, ready: { settings, loaded } };
  } catch (error) {
    const readSoFar = { settings: settingFacts(settings, null) };
    return { facts: { settings: readSoFar, configuration: toFailure(error), packages: here() }, ready: null };
  }
}

interface OpenedTemporal {
  connection: TemporalConnection;
  settings: SettingFact[];
}

function openTemporal({ config }: LoadedConfig, env: Inspection['env']): OpenedTemporal | Failure {
  try {
    const resolved = resolveTemporal(config.temporal, env);
    return { connection: new TemporalConnection(resolved), settings: temporalSettingFacts(config, resolved, env) };
  } catch (error) {
    return toFailure(error);
  }
}

function applicationFacts({ jobTypes, given }: Installation): ApplicationFacts {
  const isInitialised = typeof (given as { em?: { fork?: unknown } }).em?.fork === 'function';
  const hasOwnDriver = typeof (given as { driverOptions?: unknown }).driverOptions === 'function';
  return {
    jobTypes: jobTypes.map(({ jobType, jobClass, policy }) => ({
      jobType,
      queue: jobClass.defaultQueue,
      heartbeatTimeoutMs: policy.heartbeatTimeoutMs,
      engine: policy.engine,
    })),
    orm: isInitialised ? 'initialised' : 'options',
    hasLeakGuard: isInitialised ? false : hasOwnDriver ? null : true,
  };
}

function usesDatabaseUrl({ given }: Installation): boolean {
  const { clientUrl, dbName, host, driverOptions, em } = given as Record<string, unknown>;
  return [clientUrl, dbName, host, driverOptions, em].every((value) => value === undefined);
}

async function lookAtHandlers({ app, jobTypes }: Installation): Promise<HandlerFacts> {
  const prepared = await find(
    'setup and handlers',
    async () => {
      await app.prepare().catch((error: unknown) => {
        if (!isAsyncJobError(error, 'job.not_an_entity')) throw error; // said of each class below
      });
      return {};
    },
    HANDLERS_DEADLINE_MS,
  );
  const classes = jobTypes.map(({ jobClass }) => jobClass);
  return {
    handled: [...app.handlers.keys()].map(jobTypeOf).sort(),
    withoutTable: [...registeredHandlers().keys()].filter((jobClass) => !classes.includes(jobClass)).map(jobTypeOf),
    problem: isFailure(prepared) ? prepared : null,
  };
}

async function lookAtDatabase({
  database,
  library,
  tables,
  orm,
}: Installation): Promise<Pick<Facts, 'database' | 'schema' | 'registry' | 'jobs'>> {
  const server = await find('PostgreSQL', () => database.server());
  if (isFailure(server)) return { database: server, schema: null, registry: null, jobs: null };
  // Only now: MikroORM creates a database that does not exist when it is asked for the difference.
  const [schema, registry, jobs] = await Promise.all([
    find('the comparison of tables', async () => ({ statements: await schemaDiff(orm) })),
    find('the worker registry', () => database.workers(tables, library)),
    find('the job tables', () => database.jobs(tables, library)),
  ]);
  return { database: server, schema, registry, jobs };
}

/** Jobs against Temporal, where both answer. */
async function compare(facts: Facts, { app }: Installation, repair: boolean): Promise<Facts['differences']> {
  if (!known(facts.temporal) || !known(facts.jobs)) return null;
  const deadlineMs = repair ? REPAIR_DEADLINE_MS : COMPARISON_DEADLINE_MS;
  const limits = repair ? {} : { rowsMax: COMPARED_MAX, differencesMax: DIFFERENCES_MAX };
  // A little earlier, so that what was found until then is told.
  const signal = AbortSignal.timeout(deadlineMs - 1_000);
  return find(
    'the comparison of jobs with Temporal',
    async () => ({ ...(await app.reconcile({ repair, signal, ...limits })), repair }),
    deadlineMs,
  );
}

async function lookAtPolling(facts: Facts, temporal: OpenedTemporal | Failure | null, settings: Settings): Promise<Facts['polling']> {
  if (temporal === null || isFailure(temporal) || !known(facts.temporal)) return null;
  const queues = new Set([
    ...(settings.sources.queues === 'default' ? [] : settings.queues),
    ...(known(facts.application)?.jobTypes ?? []).map(({ queue }) => queue),
    ...(known(facts.jobs)?.queues ?? []).map(({ queue }) => queue),
    ...(known(facts.registry)?.workers ?? []).filter(({ state }) => state === 'alive').flatMap(({ queues: served }) => served),
  ]);
  const name = known(facts.configuration)?.name ?? '';
  const asked = [...queues].sort().slice(0, QUEUES_MAX);
  return find('Temporal’s task queues', async () => ({ queues: await pollersOf(temporal.connection, name, asked) }));
}
