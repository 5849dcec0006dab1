// Who takes tasks from the application's task queues, by the identities that Temporal knows and the worker registry.
import { isFailure, known, type Facts, type PolledQueue, type Poller, type WorkerFact } from './facts.ts';
import { ok, problem, warning, type Finding } from './findings.ts';
import { withoutCode } from './judge-setup.ts';
import { count, list, timeSpan } from './words.ts';

/** A poll takes a minute at most; a poller that was silent for longer has gone. */
const POLLER_GONE_MS = 120_000;

export type Whose = 'ours' | 'gone' | 'another application' | 'another database' | 'unclear';

/** Whose a poller of a queue is. `workers`: of the registry, `undefined` when that could not be read. */
export function whose(poller: Poller, queue: PolledQueue, application: string, workers: readonly WorkerFact[] | undefined): Whose {
  if (poller.lastAccessMsAgo > POLLER_GONE_MS) return 'gone';
  const own = workers?.filter((worker) => worker.application === application);
  const registered = own?.find((worker) => polls(worker, poller));
  const named = parseIdentity(poller.identity);
  if (named && named.application !== application) return 'another application';
  if (registered) return registered.state === 'alive' ? 'ours' : 'gone';
  if (named) return workers === undefined ? 'ours' : 'another database';
  // A worker with app.plugin() may have any identity: one that lives and is not seen polling may be this poller.
  const unseen = own?.some(
    (worker) => worker.state === 'alive' && worker.queues.includes(queue.queue) && !queue.pollers.some((each) => polls(worker, each)),
  );
  return unseen === false ? 'another application' : 'unclear';
}

/** Our own workers have their id in their identity; one with app.plugin() has the SDK's, unless it was given another. */
function polls(worker: WorkerFact, { identity }: Poller): boolean {
  return parseIdentity(identity)?.worker === worker.id || identity === `${worker.pid}@${worker.host}`;
}

/** `asyncjob <application> <worker>`, without the application when that has no name. */
function parseIdentity(identity: string): { application: string; worker: string } | null {
  const match = /^asyncjob (?:(\S+) )?(\S+)$/.exec(identity);
  return match && { application: match[1] ?? '', worker: match[2]! };
}

const STRANGERS: Partial<Record<Whose, { what: string; advice: string }>> = {
  'another application': {
    what: 'of another application',
    advice:
      'It takes jobs that it cannot run. Give this application a `name` in its configuration, or stop the other program, or let it poll another task queue.',
  },
  'another database': {
    what: 'of another database',
    advice:
      'A worker of this name is connected to another database, and takes jobs whose rows it does not find. Give each installation its own namespace, or its own `name`.',
  },
  unclear: {
    what: 'that may be strangers',
    advice: 'Fine if they are workers of this application with app.plugin(). Others take jobs that they cannot run.',
  },
};

export function judgePollers({ polling, configuration, registry }: Facts): Finding[] {
  if (polling === null) return [];
  if (isFailure(polling))
    return [
      warning('temporal.pollers', `could not be asked for: ${withoutCode(polling.error)}`, 'Try again, or look at the load of Temporal.'),
    ];
  const { name } = known(configuration) ?? { name: '' };
  const workers = known(registry)?.workers;
  const pollers = polling.queues.flatMap((queue) =>
    queue.pollers.map((poller) => ({ ...poller, taskQueue: queue.taskQueue, whose: whose(poller, queue, name, workers) })),
  );
  const strange = Object.entries(STRANGERS).flatMap(([which, { what, advice }]) => {
    const found = pollers.filter((poller) => poller.whose === which);
    if (found.length === 0) return [];
    const more = {
      details: found.map((poller) => `'${poller.identity}' polls ${poller.taskQueue}, last ${timeSpan(poller.lastAccessMsAgo)} ago`),
      values: { pollers: found },
    };
    const number = new Set(found.map(({ identity }) => identity)).size;
    const sentence = `${count(number, 'poller')} ${what} on ${list([...new Set(found.map(({ taskQueue }) => taskQueue))])}`;
    return [
      which === 'unclear' ? warning('temporal.pollers', sentence, advice, more) : problem('temporal.pollers', sentence, advice, more),
    ];
  });
  if (strange.length > 0) return strange;
  const ours = new Set(pollers.filter((poller) => poller.whose === 'ours').map(({ identity }) => identity)).size;
  const where = count(polling.queues.length, 'task queue');
  const found = ours === 0 ? `nobody polls ${where}` : `${count(ours, 'worker')} of this application, and nobody else, on ${where}`;
  return [ok('temporal.pollers', found, { values: { queues: polling.queues } })];
}
