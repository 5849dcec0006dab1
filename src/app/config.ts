// The configuration of an application: what its asyncjob.config.ts exports, and the check of it. Loading the file is
// load-config.ts, what a process is told besides is settings.ts.
import type { MikroORM, Options } from '@mikro-orm/postgresql';
import { unknownName } from '../entity/closest-name.ts';
import { invalidSettings, isObject, shown } from '../entity/invalid-settings.ts';
import { problemsOfDefaults, type JobOptions } from '../entity/job-options.ts';
import type { TemporalOptions } from '../temporal/connection.ts';
import type { AsyncJobs } from './async-jobs.ts';
import { ENGINES, type Engine } from './settings.ts';

/** MikroORM options (of `@mikro-orm/postgresql`), an initialised MikroORM, or a function that returns one of them. */
export type OrmSource = OrmOptions | AnyOrm | (() => OrmOptions | AnyOrm | Promise<OrmOptions | AnyOrm>);
// `any`: an ORM or its options name their entities and their EntityManager in type parameters, and any will do.
export type OrmOptions = Options<any, any>;
export type AnyOrm = MikroORM<any, any>;

/** Undoes what `setup` did, when the application closes. */
export type Teardown = () => void | Promise<void>;

/** An application. Everything but `orm` is optional; unknown names and wrong values throw `settings.invalid`. */
export interface Config {
  /**
   * Keeps applications that share a Temporal namespace apart: task queues are `name/queue`. Letters, digits, `.`, `_`
   * and `-`. It is on every workflow, so that it cannot be changed while jobs wait.
   *
   * @default ''
   */
  name?: string;
  /** Where the jobs are. `DATABASE_URL` is used when options name no database. */
  orm: OrmSource;
  /**
   * Modules that register handlers, as glob patterns below the folder of the configuration file; `EXT` at the end stands
   * for that file's own extension. Never in node_modules; nor in the build's output, tests and mocks, unless a pattern
   * names such a folder.
   *
   * @default ['**\/handlers.EXT', '**\/*.handlers.EXT', '**\/handlers/**\/*.EXT']
   */
  handlers?: readonly string[];
  /** Starts what handlers need (clients, a Nest context), before they are discovered. May return its teardown. */
  setup?: (app: AsyncJobs) => void | Teardown | Promise<void | Teardown>;
  /** How to reach Temporal. Default: `TEMPORAL_*` variables and Temporal's profile file. */
  temporal?: TemporalOptions;
  /**
   * What executes jobs. `ASYNCJOB_ENGINE` wins over it.
   *
   * @default 'workflow'
   */
  engine?: Engine;
  /** Job options for every class; a class's own come on top. */
  defaults?: Omit<JobOptions, 'lane'>;
}

/**
 * The configuration as it is, once its names and values were checked.
 *
 * @throws AsyncJobError `settings.invalid`, listing every problem
 */
export function defineConfig(config: Config): Config {
  const problems = problemsOfConfig(config);
  if (problems.length > 0) throw invalidSettings('configuration', problems);
  return config;
}

type Check = (value: unknown) => string | string[] | undefined;

const TEMPORAL_CHECKS = {
  address: text('localhost:7233'),
  namespace: text('default'),
  tls: (value) =>
    typeof value === 'boolean' || isObject(value) ? undefined : `${shown(value)} is neither a boolean nor an object of TLS options`,
  apiKey: (value) => (typeof value === 'string' && value !== '' ? undefined : 'is no text'), // never shown: it is a secret
  dataConverter: (value) => (isObject(value) ? undefined : `${shown(value)} is no data converter`),
} satisfies Record<keyof TemporalOptions, Check>;

const CHECKS = {
  name: (value) =>
    typeof value === 'string' && /^[\w.-]*$/.test(value) ? undefined : `${shown(value)} is no name of letters, digits, '.', '_' and '-'`,
  orm: (value) =>
    typeof value === 'function' || isObject(value)
      ? undefined
      : `${shown(value)} is neither MikroORM options, nor a MikroORM, nor a function that returns one`,
  handlers: (value) =>
    Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')
      ? undefined
      : `${shown(value)} is no list of glob patterns: write ['**/*.jobs.EXT']`,
  setup: (value) => (typeof value === 'function' ? undefined : `${shown(value)} is no function`),
  temporal: (value) => (isObject(value) ? undefined : `${shown(value)} is no object: write { address: 'localhost:7233' }`),
  engine: (value) => (ENGINES.includes(value as Engine) ? undefined : unknownName(String(value), ENGINES)),
  defaults: problemsOfDefaults,
} satisfies Record<keyof Config, Check>;

function problemsOfConfig(config: unknown): string[] {
  if (!isObject(config)) return [`${shown(config)} is no object: write defineConfig({ orm: … })`];
  const problems = problemsOf(config, CHECKS, '');
  if (config['orm'] === undefined) problems.push('orm is missing: give MikroORM options, a MikroORM, or a function that returns one');
  if (isObject(config['temporal'])) problems.push(...problemsOf(config['temporal'], TEMPORAL_CHECKS, 'temporal.'));
  return problems;
}

function problemsOf(values: Record<string, unknown>, checks: Record<string, Check>, prefix: string): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (!Object.hasOwn(checks, name)) return [`${prefix && `${prefix.slice(0, -1)}: `}${unknownName(name, Object.keys(checks))}`];
    const problem = checks[name]!(value) ?? [];
    return typeof problem === 'string' ? [`${prefix}${name}: ${problem}`] : problem;
  });
}

function text(example: string): Check {
  return (value) => (typeof value === 'string' && value !== '' ? undefined : `${shown(value)} is no text like '${example}'`);
}
