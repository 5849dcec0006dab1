// The options of enqueue() and retry(), checked at the door: every problem in one error.
import { unknownName } from '../entity/closest-name.ts';
import { problemOfDuration } from '../entity/duration.ts';
import { invalidSettings, shown } from '../entity/invalid-settings.ts';
import type { EnqueueOptions } from '../entity/job-types.ts';

const CHECKS: Record<keyof EnqueueOptions, (value: unknown) => string | null | undefined> = {
  em: (value) =>
    typeof (value as { getConnection?: unknown } | null)?.getConnection === 'function' ? null : `${shown(value)} is no EntityManager`,
  queue: (value) => (typeof value === 'string' && value !== '' && !value.includes('/') ? null : `${shown(value)} is no queue name`),
  delay: (value) => problemOfDuration(value),
  runAt: (value) => (value instanceof Date && !Number.isNaN(value.getTime()) ? null : `${shown(value)} is no valid Date`),
  priority: (value) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 5
      ? null
      : `${shown(value)} is no whole number from 1 (first) to 5 (last)`,
};

/** @throws AsyncJobError `settings.invalid` */
export function checkEnqueueOptions(options: EnqueueOptions): void {
  const problems = Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const check = CHECKS[name as keyof EnqueueOptions] as (typeof CHECKS)[keyof EnqueueOptions] | undefined;
    if (!check) return [unknownName(name, Object.keys(CHECKS))];
    const problem = check(value);
    return problem ? [`${name}: ${problem}`] : [];
  });
  if (options.delay !== undefined && options.runAt !== undefined) problems.push('delay and runAt exclude each other: give one of them');
  if (problems.length > 0) throw invalidSettings('enqueue options', problems);
}
