// The first lines of a worker: what it serves and whom it talks to, so that a wrong queue or database is seen at once.
import { relative } from 'node:path';
import type { Log } from '../domain/ports.ts';
import type { Settings } from '../app/settings.ts';
import { jobTypeOf } from '../entity/job-class.ts';
import type { JobClass } from '../entity/job-types.ts';
import type { WorkerApplication } from './cli-deps.ts';

export interface Banner {
  version: string;
  file: string;
  app: WorkerApplication;
  settings: Pick<Settings, 'queues' | 'concurrency'>;
  temporal: { address: string; namespace: string };
}

export function startBanner(log: Log, { version, file, app, settings, temporal }: Banner): void {
  const { queues, concurrency } = settings;
  const handlers = handlersByQueue(app.handlers.keys());
  log.info(
    {
      application: app.name || '(unnamed)',
      config: relative(process.cwd(), file) || file,
      queues: queues.join(', '),
      concurrency,
      handlers,
      temporal: `${temporal.address}, namespace ${temporal.namespace}`,
      database: databaseOf(app),
    },
    `asyncjob ${version}: worker starts`,
  );
  if (app.handlers.size === 0) {
    log.warn(
      {},
      'no handler was found. Handlers live in handlers.*, *.handlers.* or a folder handlers/ below the configuration file, or where its `handlers` says.',
    );
    return;
  }
  // Not an error: a job may be enqueued to any queue, whatever its class's own is.
  const idle = queues.filter((queue) => !Object.hasOwn(handlers, queue));
  if (idle.length > 0) log.warn({ queues: idle }, 'no job class has one of these queues as its default. A misspelled --queue?');
}

function handlersByQueue(classes: Iterable<JobClass>): Record<string, string> {
  const sorted = [...classes]
    .map((jobClass) => ({ queue: jobClass.defaultQueue, jobType: jobTypeOf(jobClass) }))
    .sort((a, b) => (a.jobType < b.jobType ? -1 : 1));
  const byQueue: Record<string, string> = {};
  for (const { queue, jobType } of sorted) byQueue[queue] = byQueue[queue] ? `${byQueue[queue]}, ${jobType}` : jobType;
  return byQueue;
}

/** `host:port/name`: whatever else an address of a database holds is not for logs. */
function databaseOf({ orm }: WorkerApplication): string {
  const { host, port, database } = orm.em.getConnection().getConnectionOptions();
  return `${host ?? 'localhost'}:${port || 5432}/${database ?? ''}`;
}
