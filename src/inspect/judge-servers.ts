// PostgreSQL and Temporal: whether they answer, and whether they are what the application needs.
import type { Facts, PolledQueue, Poller, WorkerFact } from './facts.ts';
import { isFailure, known } from './facts.ts';
import { ok, problem, warning, type Finding } from './findings.ts';
import { withoutCode } from './judge-setup.ts';
import { onlyRemoves } from './schema-diff.ts';
import { count, list, timeSpan } from './words.ts';

/** Times that this machine writes (run at, next attempt at) are compared with the database's clock. */
const CLOCK_OFFSET_MAX_MS = 2_000;
const STATEMENTS_SHOWN = 5;
const STATEMENT_LENGTH_SHOWN = 240;
/** A poll takes a minute at most; a poller that was silent for longer has gone. */
const POLLER_GONE_MS = 120_000;

export function judgeServers(facts: Facts): Finding[] {
  return [...judgeDatabase(facts), ...judgeSchema(facts), ...judgeTemporal(facts), ...judgePollers(facts)];
}

function judgeDatabase({ database }: Facts): Finding[] {
  if (database === null) return [];
  if (isFailure(database)) {
    return [
      problem(
        'database',
        withoutCode(database.error),
        'Check that it runs and that DATABASE_URL or the MikroORM options name it. Tables, workers and jobs were not looked at.',
        { values: { code: database.error.code } },
      ),
    ];
  }
  const { where, user, version, isReadOnly, answeredInMs, clockOffsetMs } = database;
  const found = `PostgreSQL ${version} at ${where} as user '${user}' answers in ${timeSpan(answeredInMs)}`;
  const values = { where, user, version, isReadOnly, answeredInMs };
  const server = isReadOnly
    ? problem('database', `${found}, but takes no writes: it is a standby, or set to read only`, 'Name the primary server.', { values })
    : ok('database', found, { values });
  const apart = timeSpan(Math.abs(clockOffsetMs));
  const clock =
    Math.abs(clockOffsetMs) > CLOCK_OFFSET_MAX_MS + answeredInMs
      ? warning(
          'database.clock',
          `PostgreSQL’s clock is ${apart} ${clockOffsetMs > 0 ? 'ahead of' : 'behind'} this machine’s`,
          'Delays and pauses between attempts are off by as much. Let all machines follow one time server (NTP).',
          { values: { clockOffsetMs } },
        )
      : ok('database.clock', `PostgreSQL’s clock and this machine’s are ${apart} apart`, { values: { clockOffsetMs } });
  return [server, clock];
}

function judgeSchema({ schema }: Facts): Finding[] {
  if (schema === null) return [];
  if (isFailure(schema))
    return [problem('database.schema', `the tables could not be compared: ${withoutCode(schema.error)}`, 'Look at the server’s log.')];
  const { statements } = schema;
  if (statements.length === 0) return [ok('database.schema', 'tables and view are as the code needs them')];
  const details = statements.slice(0, STATEMENTS_SHOWN).map((statement) => shortened(statement));
  if (statements.length > STATEMENTS_SHOWN) details.push(`… and ${statements.length - STATEMENTS_SHOWN} more`);
  const more = { details, values: { statements } };
  if (statements.every(onlyRemoves))
    return [
      warning(
        'database.schema',
        `the database is ahead of the code: ${count(statements.length, 'thing')} that this version does not know`,
        'Fine while a newer version is rolled out. Otherwise make a migration (npx mikro-orm migration:create).',
        more,
      ),
    ];
  return [
    problem(
      'database.schema',
      `the database is behind the code: ${count(statements.length, 'statement')} to go`,
      'Run the application’s migrations (npx mikro-orm migration:up); when there is none for it, make one (migration:create).',
      more,
    ),
  ];
}

function shortened(statement: string): string {
  const line = statement.replaceAll(/\s+/g, ' ');
  return line.length > STATEMENT_LENGTH_SHOWN ? `${line.slice(0, STATEMENT_LENGTH_SHOWN - 1)}…` : line;
}

function judgeTemporal({ temporal }: Facts): Finding[] {
  if (temporal === null) return [];
  if (isFailure(temporal))
    return [
      problem(
        'temporal',
        withoutCode(temporal.error).split('. ')[0]!,
        withoutCode(temporal.error).split('. ').slice(1).join('. ') || 'Check TEMPORAL_* and the configuration’s temporal.',
        { values: { code: temporal.error.code } },
      ),
    ];
  const { address, namespace, serverVersion, retentionMs, answeredInMs } = temporal;
  const retention = retentionMs === null ? '' : `, keeps closed workflows for ${timeSpan(retentionMs)}`;
  return [
    ok('temporal', `Temporal ${serverVersion} at ${address}, namespace '${namespace}'${retention}; answers in ${timeSpan(answeredInMs)}`, {
      values: { ...temporal },
    }),
  ];
}

/** Whose a poller is: `ours`, as far as is known, or why not. */
export type Whose = 'ours' | 'gone' | 'another application' | 'another database';

/** `workers`: of the registry, `undefined` when that could not be read. */
export function whose({ identity, lastAccessMsAgo }: Poller, application: string, workers: readonly WorkerFact[] | undefined): Whose {
  if (lastAccessMsAgo > POLLER_GONE_MS) return 'gone';
  // `asyncjob <application> <worker>`, without the application when that has no name.
  const [program, ...words] = identity.split(' ');
  const worker = words.pop();
  if (program !== 'asyncjob' || worker === undefined || (words[0] ?? '') !== application || words.length > 1) return 'another application';
  if (workers === undefined) return 'ours';
  const registered = workers.find(({ id }) => id === worker);
  if (registered === undefined) return 'another database';
  return registered.state === 'alive' ? 'ours' : 'gone';
}

function judgePollers({ polling, configuration, registry }: Facts): Finding[] {
  if (polling === null) return [];
  if (isFailure(polling))
    return [
      warning('temporal.pollers', `could not be asked for: ${withoutCode(polling.error)}`, 'Try again, or look at the load of Temporal.'),
    ];
  const { name } = known(configuration) ?? { name: '' };
  const workers = known(registry)?.workers;
  const strangers = polling.queues.flatMap((queue) =>
    queue.pollers.map((poller) => ({ ...poller, taskQueue: queue.taskQueue, whose: whose(poller, name, workers) })),
  );
  const findings = (['another application', 'another database'] as const).flatMap((which) => {
    const found = strangers.filter((stranger) => stranger.whose === which);
    if (found.length === 0) return [];
    const details = found.map(
      ({ identity, taskQueue, lastAccessMsAgo }) => `'${identity}' polls ${taskQueue}, last ${timeSpan(lastAccessMsAgo)} ago`,
    );
    const taskQueues = [...new Set(found.map(({ taskQueue }) => taskQueue))];
    return [
      problem(
        'temporal.pollers',
        `${count(new Set(found.map(({ identity }) => identity)).size, 'poller')} of ${which} on ${list(taskQueues)}`,
        which === 'another application'
          ? 'It takes jobs that it cannot run. Give this application a `name` in its configuration, or stop the other program, or let it poll another task queue.'
          : 'A worker of this name is connected to another database, and takes jobs whose rows it does not find. Give each installation its own namespace, or its own `name`.',
        { details, values: { pollers: found } },
      ),
    ];
  });
  return findings.length > 0
    ? findings
    : [ok('temporal.pollers', describePolling(polling.queues, strangers), { values: { queues: polling.queues } })];
}

function describePolling(queues: readonly PolledQueue[], pollers: readonly { whose: Whose; identity: string }[]): string {
  const ours = new Set(pollers.filter((poller) => poller.whose === 'ours').map(({ identity }) => identity)).size;
  const where = count(queues.length, 'task queue');
  return ours === 0 ? `nobody polls ${where}` : `${count(ours, 'worker')} of this application, and nobody else, on ${where}`;
}
