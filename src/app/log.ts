// The process's logger: pino, readable on a terminal and as JSON lines everywhere else.
import { pino, stdSerializers, type DestinationStream, type Logger } from 'pino';
import pretty from 'pino-pretty';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['auto', 'pretty', 'json'] as const;
/** `auto` is pretty when stdout is a terminal. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** The names that Celery has for levels which pino calls otherwise. */
export const LOG_LEVEL_ALIASES: Readonly<Record<string, LogLevel>> = { warning: 'warn', critical: 'fatal' };

export interface LogRecipe {
  level: LogLevel;
  format: 'pretty' | 'json';
}

const recipes = new WeakMap<object, LogRecipe>();

/** A logger that writes to stdout. It writes synchronously, so that the last lines of a dying process are not lost. */
export function createLog(level: LogLevel, options: { format?: LogFormat; destination?: DestinationStream } = {}): Logger {
  const { destination = pino.destination({ dest: 1, sync: true }) } = options;
  const format = resolveFormat(options.format ?? 'auto');
  // An Error goes under any of these names, as in most code that logs one.
  const base = {
    level,
    serializers: { err: stdSerializers.err, error: stdSerializers.err },
    // Under a supervisor (src/worker/supervisor.ts) each line says which process it is from.
    ...(process.env['ASYNCJOB_CHILD'] ? { base: { pid: process.pid, process: Number(process.env['ASYNCJOB_CHILD']) } } : {}),
  };
  const log = format === 'json' ? pino(base, destination) : pino(base, prettyStream(destination));
  if (options.destination === undefined) recipes.set(log, { level, format });
  return log;
}

/** How another thread makes the same log; undefined for one that `createLog` did not make, or not for stdout. */
export function recipeOf(log: object): LogRecipe | undefined {
  return recipes.get(log);
}

function resolveFormat(format: LogFormat): LogRecipe['format'] {
  if (format !== 'auto') return format;
  return process.stdout.isTTY ? 'pretty' : 'json';
}

function prettyStream(destination: DestinationStream): DestinationStream {
  return pretty({
    destination,
    sync: true,
    colorize: process.stdout.isTTY || process.env['FORCE_COLOR'] === '1',
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: ['pid', 'hostname', 'process', ...JOB_FIELDS].join(','),
    messageFormat: withJob,
  });
}

const JOB_FIELDS = ['jobType', 'jobId', 'run', 'attempt'];

/** A job's lines begin with its workflow id, instead of a line below them for each of its fields. */
function withJob(line: Record<string, unknown>, messageKey: string): string {
  const { jobType, jobId, run, attempt } = line as Record<string, string | number | undefined>;
  const job = [jobType, jobId, run].filter((part) => part !== undefined).join('/');
  return [job, attempt === undefined ? '' : ` attempt ${attempt}`, job === '' ? '' : ': ', line[messageKey]].join('');
}
