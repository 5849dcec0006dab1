import { KINDS, type Kinds } from '../fixtures/app/jobs.ts';

/** One for each of those who execute jobs: a workflow, a standalone activity, a lane. */
export function inEveryWay<T>(make: (kinds: Kinds) => Promise<T>): Promise<T[]> {
  return Promise.all(Object.values(KINDS).map(make));
}
