// The options of enqueue(), retry() and revoke(), and what revokeMany() and retryMany() are asked for, checked at the
// door: every problem in one error.
import { Utils } from '@mikro-orm/core';
import type { RevokeOptions } from '../entity/async-job.ts';
import { unknownName } from '../entity/closest-name.ts';
import { problemOfDuration } from '../entity/duration.ts';
import { invalidSettings, shown } from '../entity/invalid-settings.ts';
import type { EnqueueOptions, Within } from '../entity/job-types.ts';

type Check = (value: unknown) => string | null | undefined;
type Checks<Options> = Record<keyof Options, Check>;

const WITHIN: Checks<Within> = {
  em: (value) =>
    typeof (value as { getConnection?: unknown } | null)?.getConnection === 'function' ? null : `${shown(value)} is no EntityManager`,
};

const ENQUEUE: Checks<EnqueueOptions> = {
  ...WITHIN,
  queue: (value) => (typeof value === 'string' && value !== '' && !value.includes('/') ? null : `${shown(value)} is no queue name`),
  delay: (value) => problemOfDuration(value),
  runAt: (value) => (value instanceof Date && !Number.isNaN(value.getTime()) ? null : `${shown(value)} is no valid Date`),
  priority: (value) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 5
      ? null
      : `${shown(value)} is no whole number from 1 (first) to 5 (last)`,
};

const text: Check = (value) => (typeof value === 'string' ? null : `${shown(value)} is no text`);
const REVOKE: Checks<RevokeOptions> = {
  ...WITHIN,
  reason: text,
  by: text,
  terminate: (value) => (typeof value === 'boolean' ? null : `${shown(value)} is neither true nor false`),
};

/** @throws AsyncJobError `settings.invalid` */
export function checkEnqueueOptions(options: EnqueueOptions): void {
  const problems = problemsOf(options, ENQUEUE);
  if (options.delay !== undefined && options.runAt !== undefined) problems.push('delay and runAt exclude each other: give one of them');
  if (problems.length > 0) throw invalidSettings('enqueue options', problems);
}

/** @throws AsyncJobError `settings.invalid` */
export function checkRevokeOptions(options: RevokeOptions): void {
  const problems = problemsOf(options, REVOKE);
  if (problems.length > 0) throw invalidSettings('revoke options', problems);
}

/**
 * Which jobs are meant has to be said: a variable that happens to be undefined must not mean all of them.
 *
 * @throws AsyncJobError `settings.invalid`
 */
export function checkWhere(method: string, where: unknown): void {
  if (!Utils.isPlainObject(where)) {
    throw invalidSettings(`arguments of ${method}()`, [
      `where: ${shown(where)} is no condition. Give one as for find(), such as { queue: 'default' }; {} means all jobs of the class`,
    ]);
  }
  const missing = undefinedIn(where);
  if (missing.length > 0) {
    throw invalidSettings(
      `arguments of ${method}()`,
      missing.map((path) => `where.${path} is undefined; leave it out, or give null for jobs without a value`),
    );
  }
}

function undefinedIn(condition: object): string[] {
  return Object.entries(condition).flatMap(([name, value]) => {
    if (value === undefined) return [name];
    return Array.isArray(value) || Utils.isPlainObject(value) ? undefinedIn(value as object).map((inner) => `${name}.${inner}`) : [];
  });
}

function problemsOf(options: object, checks: Record<string, Check>): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const check = checks[name];
    if (!check) return [unknownName(name, Object.keys(checks))];
    const problem = check(value);
    return problem ? [`${name}: ${problem}`] : [];
  });
}
