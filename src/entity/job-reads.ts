// Reading jobs through MikroORM: what the statics get, find, latest and count do, and waiting for a job's end.
import type { FilterQuery, FindOptions, Loaded } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import { isSettled, type Status } from '../domain/lifecycle.ts';
import type { AsyncJob } from './async-job.ts';
import { toMilliseconds } from './duration.ts';
import { jobTypeOf } from './job-class.ts';
import type { JobClass, WaitOptions } from './job-types.ts';

export const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export async function getJob<T extends AsyncJob>(em: EntityManager, jobClass: JobClass<T>, id: string): Promise<T | null> {
  // Anything else PostgreSQL would refuse: there is no such job.
  return UUID.test(id) ? ((await em.findOne(jobClass as never, { id: id.toLowerCase() } as never)) as T | null) : null;
}

export async function findJobs<T extends AsyncJob, H extends string = never>(
  em: EntityManager,
  jobClass: JobClass<T>,
  where: FilterQuery<T>,
  options: FindOptions<T, H>,
): Promise<Loaded<T, H>[]> {
  return (await em.find(jobClass as never, where as never, options as never)) as Loaded<T, H>[];
}

export async function latestJob<T extends AsyncJob>(em: EntityManager, jobClass: JobClass<T>): Promise<T | null> {
  // The id breaks ties: it is ordered by time, too.
  const [job] = (await em.find(jobClass as never, {} as never, { orderBy: { createdAt: 'desc', id: 'desc' }, limit: 1 } as never)) as T[];
  return job ?? null;
}

export function countJobs<T extends AsyncJob>(em: EntityManager, jobClass: JobClass<T>, where: FilterQuery<T> = {}): Promise<number> {
  return em.count(jobClass as never, where as never);
}

const FIRST_LOOK_MS = 20;
const LOOK_MAX_MS = 1_000;

/** Resolves when the row is settled. @throws AsyncJobError `job.wait_timeout`, `job.not_found`; the signal's reason */
export async function untilSettled(em: EntityManager, job: AsyncJob, { timeout, signal }: WaitOptions): Promise<void> {
  const deadline = timeout === undefined ? Infinity : Date.now() + toMilliseconds(timeout, 'timeout');
  const jobClass = job.constructor as unknown as JobClass;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 1.5, LOOK_MAX_MS)) {
    signal?.throwIfAborted();
    // A fork each time: no identity map, no transaction, no snapshot of an older state.
    const row = (await em.fork().findOne(jobClass as never, { id: job.id } as never, {
      fields: ['status'] as never,
      filters: false, // those of the application's lists
    })) as {
      status: Status;
    } | null;
    if (!row) throw new AsyncJobError('job.not_found', `${jobTypeOf(jobClass)} ${job.id} has no row any more.`);
    if (isSettled(row.status)) return;
    if (Date.now() >= deadline) {
      throw new AsyncJobError(
        'job.wait_timeout',
        `${jobTypeOf(jobClass)} ${job.id} is still ${row.status} after ${String(timeout)}${typeof timeout === 'number' ? ' ms' : ''}; it goes on.`,
      );
    }
    await pause(Math.min(pauseMs, deadline - Date.now()), signal);
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}
