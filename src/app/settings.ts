// The settings of a process, in one table: name, environment variable, parser, default, help. The command line, --help
// and the docs read it. The environment is read here and nowhere else, and handed down as a value.
// Temporal's own TEMPORAL_* variables and profile file are not here: the SDK's envconfig reads them.
import { availableParallelism } from 'node:os';
import { closestName, unknownName } from '../entity/closest-name.ts';
import { problemOfDuration, toMilliseconds } from '../entity/duration.ts';
import { invalidSettings, shown } from '../entity/invalid-settings.ts';
import { LOG_FORMATS, LOG_LEVEL_ALIASES, LOG_LEVELS, type LogFormat, type LogLevel } from './log.ts';

export const ENGINES = ['workflow', 'activity', 'inline'] as const;
/** `workflow`: one Temporal workflow per job. `activity`: a standalone activity (server 1.32 or newer). `inline`: in the process that enqueues, without Temporal, for tests. */
export type Engine = (typeof ENGINES)[number];

interface Setting<T> {
  env: string;
  /** The long option of a command, where there is one. */
  option?: string;
  /** Takes text, or a value that is one already. Throws an Error that says what would be right. */
  parse(value: unknown): T;
  default: T | (() => T);
  /** One line for people, without the default. */
  help: string;
  /** The default for people, where its value would say little. */
  defaultText?: string;
}

export const SETTINGS = {
  engine: setting<Engine>({
    env: 'ASYNCJOB_ENGINE',
    parse: oneOf(ENGINES),
    default: 'workflow',
    help: "What executes jobs: 'workflow' (Temporal), 'activity' (Temporal's standalone activities, server 1.32 or newer; a class may choose by itself), or 'inline' (at once, in the process that enqueues; for tests)",
  }),
  databaseUrl: setting<string | null>({
    env: 'DATABASE_URL',
    parse: text, // not checked further: an application that names its database may use the variable for another one
    default: null,
    defaultText: "what the configuration's orm says",
    help: 'PostgreSQL, when the configuration names none: postgres://user:password@host:5432/database',
  }),
  logLevel: setting<LogLevel>({
    env: 'ASYNCJOB_LOG_LEVEL',
    option: '--log-level',
    parse: oneOf(LOG_LEVELS, LOG_LEVEL_ALIASES),
    default: 'info',
    help: 'The least important lines to log: trace, debug, info, warn(ing), error, fatal (critical), silent',
  }),
  logFormat: setting<LogFormat>({
    env: 'ASYNCJOB_LOG_FORMAT',
    parse: oneOf(LOG_FORMATS),
    default: 'auto',
    help: "'pretty', 'json', or 'auto': pretty on a terminal",
  }),
  queues: setting<string[]>({
    env: 'ASYNCJOB_QUEUES',
    option: '--queue',
    parse: queueNames,
    default: ['default'],
    defaultText: 'default',
    help: 'Queues that a worker serves, separated by commas',
  }),
  concurrency: setting<number>({
    env: 'ASYNCJOB_CONCURRENCY',
    option: '--concurrency',
    parse: count,
    default: availableParallelism,
    defaultText: 'the number of processors',
    help: 'How many jobs a worker runs at the same time',
  }),
  processes: setting<number>({
    env: 'ASYNCJOB_PROCESSES',
    option: '--processes',
    parse: (value) => (value === 'auto' ? availableParallelism() : count(value)),
    default: 1,
    help: "How many worker processes run under one supervisor, each with this concurrency; 'auto': one per processor",
  }),
  drainTimeoutMs: setting<number>({
    env: 'ASYNCJOB_DRAIN_TIMEOUT',
    option: '--drain-timeout',
    parse: duration(0),
    default: 30_000,
    defaultText: '30s',
    help: 'Time that running attempts get after SIGTERM before they are abandoned; 0 abandons at once',
  }),
  workerTtlMs: setting<number>({
    env: 'ASYNCJOB_WORKER_TTL',
    parse: duration(1_000),
    default: 15_000,
    defaultText: '15s',
    help: 'How long a silent worker counts as alive; it beats five times as often. The same in all workers of a database',
  }),
  probePort: setting<number | null>({
    env: 'ASYNCJOB_PROBE_PORT',
    option: '--probe-port',
    parse: port,
    default: null,
    defaultText: 'none',
    help: 'Port on which a worker answers /livez, /readyz and /metrics, 0: a free one; process n of --processes has port + n - 1',
  }),
  relayIntervalMs: setting<number>({
    env: 'ASYNCJOB_RELAY_INTERVAL',
    parse: duration(10),
    default: 1_000,
    defaultText: '1s',
    help: 'How often a worker looks for committed jobs that nobody has dispatched',
  }),
  reconcileIntervalMs: setting<number>({
    env: 'ASYNCJOB_RECONCILE_INTERVAL',
    parse: duration(100),
    default: 5_000,
    defaultText: '5s',
    help: 'How often one of the workers compares open jobs with Temporal and repairs what differs',
  }),
  listen: setting<boolean>({
    env: 'ASYNCJOB_LISTEN',
    parse: yesOrNo,
    default: true,
    help: 'Whether connections to PostgreSQL are one session each: then a worker hears of revocations at once (LISTEN) instead of within two seconds, and statements are prepared. false behind a pooler that pools transactions',
  }),
  lanesWithoutTemporal: setting<boolean>({
    env: 'ASYNCJOB_LANES_WITHOUT_TEMPORAL',
    parse: yesOrNo,
    default: false,
    help: 'Whether a worker opens lanes also while Temporal is away; a lane that is open goes on in any case',
  }),
  workflowSandbox: setting<boolean>({
    env: 'ASYNCJOB_WORKFLOW_SANDBOX',
    parse: yesOrNo,
    default: false,
    help: "Whether a worker runs asyncjob's own workflow in Temporal's sandbox: threads, more CPU and memory, stack traces in Temporal's UI",
  }),
  appFile: setting<string | null>({
    env: 'ASYNCJOB_APP',
    option: '--app',
    parse: text,
    default: null,
    defaultText: 'asyncjob.config.{ts,mts,js,mjs} in the current folder',
    help: 'The configuration file',
  }),
};

export type SettingName = keyof typeof SETTINGS;
export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];
export type SettingValues = { [Name in SettingName]: ReturnType<(typeof SETTINGS)[Name]['parse']> };
/** Where a value came from, the strongest first: a command line option, the environment, the configuration, the table. */
export type SettingSource = 'option' | 'environment' | 'config' | 'default';

export interface Settings extends Readonly<SettingValues> {
  readonly sources: Readonly<Record<SettingName, SettingSource>>;
}

/** Values as text (as on a command line) or as themselves; undefined ones count as not given. */
export type SettingInputs = { [Name in SettingName]?: SettingValues[Name] | string | undefined };

/**
 * The settings of this process: an override wins over the environment, that over `configured`, that over the default.
 * An empty variable counts as not set.
 *
 * @throws AsyncJobError `settings.invalid`, listing every problem
 */
export function readSettings(
  env: Readonly<Record<string, string | undefined>>,
  overrides: SettingInputs = {},
  configured: SettingInputs = {},
): Settings {
  const problems = [...unknownVariables(env), ...unknownKeys(overrides)];
  const values: Record<string, unknown> = {};
  const sources: Record<string, SettingSource> = {};
  for (const name of SETTING_NAMES) {
    const { env: variable, option, parse, default: fallback } = SETTINGS[name] as Setting<unknown>;
    const inputs: [SettingSource, unknown, string][] = [
      ['option', overrides[name], option ?? name],
      ['environment', env[variable]?.trim() || undefined, variable],
      ['config', configured[name], `${name} of the configuration`],
    ];
    const [source, input, label] = inputs.find(([, value]) => value !== undefined) ?? ['default', undefined, name];
    sources[name] = source;
    try {
      values[name] = source === 'default' ? (typeof fallback === 'function' ? (fallback as () => unknown)() : fallback) : parse(input);
    } catch (error) {
      problems.push(`${label}: ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw invalidSettings('settings', problems);
  return { ...(values as SettingValues), sources: sources as Record<SettingName, SettingSource> };
}

/** One setting in words, for `--help` and the docs. */
export function describeSetting(name: SettingName): { env: string; help: string; default: string } {
  const { env, help, default: value, defaultText } = SETTINGS[name] as Setting<unknown>;
  return { env, help, default: defaultText ?? String(value) };
}

// A variable of the application's own may begin with ASYNCJOB_, too: only one that looks like ours is a slip.
function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = SETTING_NAMES.map((name) => SETTINGS[name].env).filter((variable) => variable.startsWith('ASYNCJOB_'));
  return Object.keys(env)
    .filter((variable) => variable.startsWith('ASYNCJOB_') && !known.includes(variable))
    .flatMap((variable) => {
      const suffix = closestName(
        variable.slice('ASYNCJOB_'.length),
        known.map((name) => name.slice('ASYNCJOB_'.length)),
      );
      return suffix === null ? [] : [`the environment variable ${variable} is unknown; did you mean ASYNCJOB_${suffix}?`];
    });
}

function unknownKeys(overrides: object): string[] {
  return Object.keys(overrides)
    .filter((name) => !Object.hasOwn(SETTINGS, name))
    .map((name) => unknownName(name, SETTING_NAMES));
}

function setting<T>(definition: Setting<T>): Setting<T> {
  return definition;
}

function oneOf<const T extends string>(values: readonly T[], aliases: Readonly<Record<string, T>> = {}): (value: unknown) => T {
  return (value) => {
    const word = String(value).trim().toLowerCase();
    const found = values.find((candidate) => candidate === word) ?? (Object.hasOwn(aliases, word) ? aliases[word] : undefined);
    if (found === undefined) throw new Error(unknownName(String(value), [...values, ...Object.keys(aliases)]));
    return found;
  };
}

function yesOrNo(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  const word = String(value).trim().toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(word)) return true;
  if (['false', '0', 'no', 'off'].includes(word)) return false;
  throw new Error(`${shown(value)} is neither true nor false`);
}

function duration(minimumMs: number): (value: unknown) => number {
  return (value) => {
    const problem = problemOfDuration(value, minimumMs);
    if (problem) throw new Error(problem);
    return toMilliseconds(value as string | number, 'duration');
  };
}

function count(value: unknown): number {
  const number = typeof value === 'string' && /^\s*\d+\s*$/.test(value) ? Number(value) : value;
  if (!Number.isSafeInteger(number) || (number as number) < 1) throw new Error(`${shown(value)} is no whole number from 1 on`);
  return number as number;
}

function port(value: unknown): number | null {
  if (value === null) return null;
  const number = typeof value === 'string' && /^\s*\d+\s*$/.test(value) ? Number(value) : value;
  if (!Number.isSafeInteger(number) || (number as number) < 0 || (number as number) > 65_535) {
    throw new Error(`${shown(value)} is no port (0 to 65535)`);
  }
  return number as number;
}

function queueNames(value: unknown): string[] {
  const given = Array.isArray(value) ? value : [value];
  const names = given.flatMap((item) => String(item).split(',')).map((name) => name.trim());
  if (names.length === 0 || names.includes('')) throw new Error(`${shown(value)} has an empty queue name in it`);
  return [...new Set(names)];
}

/** The message does not show the value: it may hold a password. */
function text(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new Error('is no text');
  return value;
}
