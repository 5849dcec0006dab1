// The facts of an installation in which everything is fine, for tests that change one of them.
import type { Difference } from '../../../src/relay/examiner.ts';
import type { Facts, JobsFacts, LostJob, OpenJobs, WorkerFact } from '../../../src/inspect/facts.ts';

export const SECOND = 1_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;

export function aWorker(changes: Partial<WorkerFact> = {}): WorkerFact {
  return {
    id: 'host-1:100:aaaa',
    application: 'shop',
    host: 'host-1',
    pid: 100,
    version: '1.2.3',
    queues: ['default', 'mail'],
    concurrency: 10,
    running: 2,
    inLanes: 0,
    startedMsAgo: 3 * HOUR,
    seenMsAgo: 2 * SECOND,
    ttlMs: 15 * SECOND,
    state: 'alive',
    goneForMs: 0,
    ...changes,
  };
}

export function openJobs(changes: Partial<OpenJobs> = {}): OpenJobs {
  return {
    jobType: 'SendMail',
    queue: 'mail',
    started: 0,
    due: 0,
    oldestDueMs: null,
    later: 0,
    undispatched: 0,
    oldestUndispatchedMs: null,
    handlerMissing: 0,
    oldestHandlerMissingMs: null,
    longInLane: 0,
    longestInLaneMs: null,
    ...changes,
  };
}

export function lostJob(changes: Partial<LostJob> = {}): LostJob {
  return {
    jobType: 'SendMail',
    id: '01900000-0000-7000-8000-000000000001',
    attempt: 1,
    holder: 'host-1:99:dead',
    startedMsAgo: 2 * MINUTE,
    holderGoneForMs: 10 * SECOND,
    why: 'worker died',
    ...changes,
  };
}

export function withJobs(changes: Partial<JobsFacts>): Partial<Facts> {
  return { jobs: { queues: [], lost: [], ...changes } };
}

export function aDifference(changes: Partial<Difference> = {}): Difference {
  const run = { jobType: 'SendMail', id: '01900000-0000-7000-8000-000000000001', run: 1 };
  return { kind: 'next_run', why: 'Temporal does not know its execution', run, repaired: false, ...changes };
}

export function healthy(changes: Partial<Facts> = {}): Facts {
  const copy = (name: string, version: string) => ({ name, version, folder: `/srv/shop/node_modules/${name}`, usedBy: ['application'] });
  return {
    version: '1.2.3',
    settings: {
      settings: [
        { name: 'engine', value: 'workflow', source: 'default', env: 'ASYNCJOB_ENGINE' },
        { name: 'logLevel', value: 'debug', source: 'environment', env: 'ASYNCJOB_LOG_LEVEL' },
      ],
    },
    configuration: { file: '/srv/shop/asyncjob.config.ts', shownAs: 'asyncjob.config.ts', name: 'shop', engine: 'workflow' },
    application: {
      jobTypes: [
        { jobType: 'SendMail', queue: 'mail', heartbeatTimeoutMs: 30 * SECOND, engine: 'workflow' },
        { jobType: 'Report', queue: 'default', heartbeatTimeoutMs: 30 * SECOND, engine: 'activity' },
      ],
      orm: 'options',
      hasLeakGuard: true,
    },
    handlers: { handled: ['Report', 'SendMail'], withoutTable: [], problem: null },
    packages: {
      node: '24.21.0',
      copies: [
        copy('asyncjob', '1.2.3'),
        copy('@temporalio/client', '1.24.0'),
        copy('@temporalio/worker', '1.24.0'),
        copy('@mikro-orm/core', '7.2.1'),
        copy('@mikro-orm/sql', '7.2.1'),
        copy('@mikro-orm/postgresql', '7.2.1'),
        copy('kysely', '0.29.9'),
      ],
    },
    database: { where: 'db:5432/shop', user: 'shop', version: '18.1', isReadOnly: false, answeredInMs: 3, clockOffsetMs: 12 },
    schema: { statements: [] },
    registry: { workers: [aWorker()] },
    differences: { differences: [], looked: 3, isComplete: true, repair: false },
    jobs: { queues: [openJobs({ started: 2, due: 1, oldestDueMs: 5 * SECOND })], lost: [] },
    temporal: {
      address: 'temporal:7233',
      namespace: 'default',
      serverVersion: '1.32.0',
      retentionMs: 24 * HOUR,
      answeredInMs: 8,
      standaloneActivities: true,
    },
    polling: {
      queues: [
        {
          queue: 'default',
          taskQueue: 'shop/default',
          pollers: [{ identity: 'asyncjob shop host-1:100:aaaa', lastAccessMsAgo: 4 * SECOND }],
        },
        { queue: 'mail', taskQueue: 'shop/mail', pollers: [{ identity: 'asyncjob shop host-1:100:aaaa', lastAccessMsAgo: 4 * SECOND }] },
      ],
    },
    ...changes,
  };
}
