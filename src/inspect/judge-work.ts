// Workers and jobs: who runs what, and what waits for nobody.
import type { Facts, Failure, JobsFacts, LostJob, OpenJobs, WorkerFact } from './facts.ts';
import { isFailure, known } from './facts.ts';
import { ok, problem, warning, type Finding } from './findings.ts';
import { judgeDifferences } from './judge-differences.ts';
import { whose } from './judge-pollers.ts';
import { withoutCode } from './judge-setup.ts';
import { count, list, timeSpan } from './words.ts';

/** A relay sweeps every second: what is older is nobody's. */
const UNDISPATCHED_LONG_MS = 60_000;
const HANDLER_MISSING_LONG_MS = 60_000;
/** Temporal finds a dead worker after the heartbeat timeout; so long after it another one should have the job. */
const TAKEOVER_GRACE_MS = 60_000;
const SHOWN = 8;

export function judgeWork(facts: Facts): Finding[] {
  // Jobs of the inline engine need no worker and no dispatch.
  if (known(facts.configuration)?.engine === 'inline') return judgeInline(facts);
  return [...judgeWorkers(facts), ...judgeJobs(facts)];
}

/** Living workers of this application. */
function livingOf(facts: Facts): WorkerFact[] {
  const { name } = known(facts.configuration) ?? { name: '' };
  return (known(facts.registry)?.workers ?? []).filter(({ state, application }) => state === 'alive' && application === name);
}

function judgeWorkers(facts: Facts): Finding[] {
  const { registry, version } = facts;
  if (registry === null) return [];
  if (isFailure(registry))
    return [problem('workers', `the worker registry could not be read: ${withoutCode(registry.error)}`, 'See database.schema.')];
  const { name } = known(facts.configuration) ?? { name: '' };
  const alive = livingOf(facts);
  const died = registry.workers.filter(({ state, application }) => state === 'dead' && application === name);
  return [...judgeLiving(alive), ...judgeDied(died), ...judgeVersions(alive, version), ...judgeTtl(alive)];
}

function judgeLiving(alive: readonly WorkerFact[]): Finding[] {
  if (alive.length === 0)
    return [warning('workers', 'no worker lives', 'Start one: npx asyncjob worker --queue=…', { values: { alive: [] } })];
  const details = alive
    .slice(0, SHOWN)
    .map(
      ({ id, queues, running, inLanes, concurrency, startedMsAgo, seenMsAgo }) =>
        `${id}: ${queues.join(', ')}; runs ${running} of ${concurrency}${inLanes > 0 ? `, and ${inLanes} in lanes` : ''}; up ${timeSpan(startedMsAgo)}, seen ${timeSpan(seenMsAgo)} ago`,
    );
  if (alive.length > SHOWN) details.push(`… and ${alive.length - SHOWN} more`);
  const [running, inLanes, slots] = (['running', 'inLanes', 'concurrency'] as const).map((field) =>
    alive.reduce((total, worker) => total + worker[field], 0),
  ) as [number, number, number];
  return [
    ok(
      'workers',
      `${count(alive.length, 'worker')} alive, ${running} of ${count(slots, 'slot')} busy${inLanes > 0 ? `, ${count(inLanes, 'job')} in lanes` : ''}`,
      { details, values: { alive } },
    ),
  ];
}

function judgeDied(died: readonly WorkerFact[]): Finding[] {
  if (died.length === 0) return [ok('workers.died', 'none in the last day')];
  const details = died
    .slice(0, SHOWN)
    .map(({ id, goneForMs, startedMsAgo }) => `${id}: silent for ${timeSpan(goneForMs)}, after ${timeSpan(startedMsAgo - goneForMs)}`);
  return [
    warning(
      'workers.died',
      `${count(died.length, 'worker')} ended without a word in the last day`,
      'Killed, crashed or cut off from PostgreSQL: look at their logs, at memory, and at how deployments stop them (SIGTERM drains).',
      { details, values: { died } },
    ),
  ];
}

function judgeVersions(alive: readonly WorkerFact[], version: string): Finding[] {
  if (alive.length === 0) return [];
  const byVersion = Object.entries(Object.groupBy(alive, (worker) => worker.version)).map(
    ([each, workers]) => `${each} (${workers!.length})`,
  );
  if (alive.every((worker) => worker.version === version)) return [ok('workers.versions', `all run asyncjob ${version}`)];
  return [
    warning(
      'workers.versions',
      `workers run asyncjob ${byVersion.sort().join(', ')}; this command is ${version}`,
      'Fine while a version is rolled out. Otherwise restart the workers that were left behind.',
      { values: { version, workers: alive.map((worker) => ({ id: worker.id, version: worker.version })) } },
    ),
  ];
}

function judgeTtl(alive: readonly WorkerFact[]): Finding[] {
  const ttls = [...new Set(alive.map(({ ttlMs }) => Math.round(ttlMs / 100) * 100))].sort((a, b) => a - b);
  if (ttls.length <= 1) return [];
  return [
    warning(
      'workers.ttl',
      `workers have different times to live: ${ttls.map(timeSpan).join(', ')}`,
      'Set ASYNCJOB_WORKER_TTL to the same value for all workers of this database.',
      { values: { ttlsMs: ttls } },
    ),
  ];
}

function judgeInline({ jobs }: Facts): Finding[] {
  if (jobs === null) return [];
  return [isFailure(jobs) ? unreadable(jobs) : summary(jobs)];
}

function unreadable({ error }: Failure): Finding {
  return problem('jobs', `the job tables could not be read: ${withoutCode(error)}`, 'See database.schema.');
}

function judgeJobs(facts: Facts): Finding[] {
  const { jobs } = facts;
  if (jobs === null) return [];
  if (isFailure(jobs)) return [unreadable(jobs)];
  return [
    summary(jobs),
    ...judgeQueues(facts, jobs),
    judgeUndispatched(facts, jobs),
    judgeLost(facts, jobs),
    ...judgeDifferences(facts, livingOf(facts).length > 0),
    judgeUnhandled(jobs),
    judgeLanes(jobs),
  ];
}

function summary({ queues }: JobsFacts): Finding {
  const [started, due, later] = (['started', 'due', 'later'] as const).map((kind) => sum(queues, kind));
  const details = queues
    .filter((each) => each.started + each.due + each.later > 0)
    .map((each) => `${each.jobType} on '${each.queue}': ${each.started} started, ${each.due} waiting, ${each.later} for later`);
  const more = details.length > SHOWN ? [...details.slice(0, SHOWN), `… and ${details.length - SHOWN} more; see asyncjob status`] : details;
  return ok('jobs', `${started} started, ${due} waiting, ${later} for later`, {
    ...(details.length > 0 ? { details: more } : {}),
    values: { started, due, later, queues },
  });
}

function sum(queues: readonly OpenJobs[], field: 'started' | 'due' | 'later' | 'undispatched' | 'handlerMissing' | 'longInLane'): number {
  return queues.reduce((total, each) => total + each[field], 0);
}

function oldest(
  queues: readonly OpenJobs[],
  field: 'oldestDueMs' | 'oldestUndispatchedMs' | 'oldestHandlerMissingMs' | 'longestInLaneMs',
): number {
  return Math.max(0, ...queues.map((each) => each[field] ?? 0));
}

function judgeQueues(facts: Facts, { queues }: JobsFacts): Finding[] {
  const unserved = Object.entries(Object.groupBy(queues, ({ queue }) => queue))
    .filter(([queue, open]) => sum(open!, 'due') + sum(open!, 'later') > 0 && !isServed(facts, queue))
    .map(([queue, open]) => unservedQueue(queue, open!));
  if (unserved.length > 0) return unserved;
  return [ok('queues.unserved', 'every queue with waiting jobs has a worker')];
}

function isServed(facts: Facts, queue: string): boolean {
  if (livingOf(facts).some(({ queues }) => queues.includes(queue))) return true;
  const { name } = known(facts.configuration) ?? { name: '' };
  const workers = known(facts.registry)?.workers;
  const polled = known(facts.polling)?.queues.find((each) => each.queue === queue);
  return polled?.pollers.some((poller) => whose(poller, polled, name, workers) === 'ours') ?? false;
}

function unservedQueue(queue: string, open: readonly OpenJobs[]): Finding {
  const types = open.map(({ jobType }) => jobType);
  const due = sum(open, 'due');
  const later = sum(open, 'later');
  const values = { queue, due, later, oldestDueMs: oldest(open, 'oldestDueMs'), jobTypes: types };
  const advice = `Start one: npx asyncjob worker --queue=${queue}`;
  if (due === 0)
    return warning(
      'queues.unserved',
      `no worker serves queue '${queue}', where ${count(later, 'job')} (${list(types)}) will be due`,
      advice,
      { values },
    );
  const since = timeSpan(values.oldestDueMs);
  return problem(
    'queues.unserved',
    `no worker serves queue '${queue}', where ${count(due, 'job')} (${list(types)}) ${due === 1 ? 'waits' : 'wait'}, the oldest for ${since}`,
    advice,
    { values },
  );
}

function judgeUndispatched(facts: Facts, { queues }: JobsFacts): Finding {
  const number = sum(queues, 'undispatched');
  if (number === 0) return ok('jobs.undispatched', 'none waits for its dispatch');
  const oldestMs = oldest(queues, 'oldestUndispatchedMs');
  const found = `${count(number, 'job')} committed and never dispatched, the oldest for ${timeSpan(oldestMs)}`;
  const advice = isFailure(facts.temporal)
    ? 'They are dispatched once Temporal is back.'
    : livingOf(facts).length === 0
      ? 'A worker dispatches what was left behind, whatever its queue: start one.'
      : 'Workers dispatch them within seconds. If this lasts, look in their logs for "Temporal is away" and "sweep".';
  const values = {
    number,
    oldestMs,
    queues: queues
      .filter(({ undispatched }) => undispatched > 0)
      .map(({ jobType, queue, undispatched }) => ({ jobType, queue, undispatched })),
  };
  return oldestMs > UNDISPATCHED_LONG_MS
    ? problem('jobs.undispatched', found, advice, { values })
    : warning('jobs.undispatched', found, advice, { values });
}

function judgeLost(facts: Facts, { lost }: JobsFacts): Finding {
  if (lost.length === 0) return ok('jobs.lost', 'every STARTED job has a living worker');
  const policies = new Map((known(facts.application)?.jobTypes ?? []).map((type) => [type.jobType, type.heartbeatTimeoutMs]));
  const isLate = (job: LostJob) => (job.holderGoneForMs ?? job.startedMsAgo) > (policies.get(job.jobType) ?? 30_000) + TAKEOVER_GRACE_MS;
  const late = lost.filter(isLate);
  const shown = (late.length > 0 ? late : lost).slice(0, SHOWN);
  const details = shown.map((job) => {
    const gone = job.holderGoneForMs === null ? '' : ` ${timeSpan(job.holderGoneForMs)} ago`;
    return `${job.jobType} ${job.id}, attempt ${job.attempt}, started ${timeSpan(job.startedMsAgo)} ago: ${job.why}${gone} (${job.holder})`;
  });
  const values = { lost };
  if (late.length === 0)
    return warning(
      'jobs.lost',
      `${count(lost.length, 'job')} STARTED by a worker that does not run ${lost.length === 1 ? 'it' : 'them'} any more`,
      'The next attempt begins after the heartbeat timeout, on any worker of the queue.',
      { details, values },
    );
  return problem(
    'jobs.lost',
    `${count(late.length, 'job')} STARTED, run by nobody, and not taken over`,
    'See that a worker serves the queue and Temporal answers.',
    { details, values },
  );
}

function judgeLanes({ queues }: JobsFacts): Finding {
  const long = queues.filter(({ longInLane }) => longInLane > 0);
  if (long.length === 0) return ok('jobs.long_in_lane', 'none runs long in a lane');
  const number = sum(long, 'longInLane');
  const longestMs = oldest(long, 'longestInLaneMs');
  const types = [...new Set(long.map(({ jobType }) => jobType))];
  return warning(
    'jobs.long_in_lane',
    `${count(number, 'job')} (${list(types)}) ${number === 1 ? 'has' : 'have'} been running in a lane, for up to ${timeSpan(longestMs)}`,
    'Lanes are for jobs of seconds: give this class a runTimeout, or take lane out of its options, so that each job has its own workflow.',
    { values: { number, longestMs, jobTypes: types } },
  );
}

function judgeUnhandled({ queues }: JobsFacts): Finding {
  const unhandled = queues.filter(({ handlerMissing }) => handlerMissing > 0);
  if (unhandled.length === 0) return ok('jobs.handler_missing', 'none waits for a handler');
  const oldestMs = oldest(unhandled, 'oldestHandlerMissingMs');
  const found = `${count(sum(unhandled, 'handlerMissing'), 'job')} that no worker has a handler for, the oldest for ${timeSpan(oldestMs)}`;
  const advice = 'Register the handler in a module that the workers of this queue load, or start them with the right configuration (-A).';
  const more = {
    details: unhandled.map(({ jobType, queue, handlerMissing }) => `${jobType} on '${queue}': ${handlerMissing}`),
    values: { oldestMs, queues: unhandled.map(({ jobType, queue, handlerMissing }) => ({ jobType, queue, handlerMissing })) },
  };
  return oldestMs > HANDLER_MISSING_LONG_MS
    ? problem('jobs.handler_missing', found, advice, more)
    : warning('jobs.handler_missing', found, advice, more);
}
