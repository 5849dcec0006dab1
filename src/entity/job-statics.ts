// What is wrong with the statics of a job class. In TypeScript `static override` notices a slip; in JavaScript, and
// without `override`, a misspelled static would do nothing, silently.
import { AsyncJob } from './async-job.ts';
import { closestName } from './closest-name.ts';
import { shown } from './invalid-settings.ts';
import type { JobClass } from './job-types.ts';

const STATICS = ['defaultQueue', 'options', 'jobType'] satisfies (keyof typeof AsyncJob)[];

// Narrower than for options: a class may well have a static of its own that is called `actions`.
const SLIPS = 1 / 4;

/** Statics that were probably meant to be others, and values that cannot be; options are checked by themselves. */
export function problemsOfStatics(jobClass: JobClass): string[] {
  const problems = ownStatics(jobClass).flatMap((name) => {
    const meant = (STATICS as string[]).includes(name) ? null : closestName(name, STATICS, SLIPS);
    return meant === null ? [] : [`${jobClass.name}: static '${name}' is unknown; did you mean '${meant}'?`];
  });
  const { defaultQueue, jobType } = jobClass as { defaultQueue: unknown; jobType?: unknown };
  if (typeof defaultQueue !== 'string' || defaultQueue === '' || defaultQueue.includes('/'))
    problems.push(`${jobClass.name}.defaultQueue: ${shown(defaultQueue)} is no queue name`);
  const ofType = jobType === undefined ? null : problemOfJobType(jobType);
  if (ofType !== null) problems.push(`${jobClass.name}.jobType: ${ofType}`);
  return problems;
}

/** Temporal's list queries have no way to write a backslash or a control character. */
export function problemOfJobType(jobType: unknown): string | null {
  if (typeof jobType !== 'string' || jobType === '') return `${shown(jobType)} is no name`;
  return /[\\\p{Cc}]/u.test(jobType) ? `${shown(jobType)} has a backslash or a control character in it` : null;
}

function ownStatics(jobClass: object): string[] {
  const names: string[] = [];
  for (let each = jobClass; each && each !== AsyncJob; each = Object.getPrototypeOf(each) as object)
    names.push(...Object.getOwnPropertyNames(each));
  return [...new Set(names)];
}
