// PostgreSQL and Temporal: whether they answer, and whether they are what the application needs.
import { isFailure, known, type Facts } from './facts.ts';
import { ok, problem, warning, type Finding } from './findings.ts';
import { judgePollers } from './judge-pollers.ts';
import { withoutCode } from './judge-setup.ts';
import { onlyRemoves } from './schema-diff.ts';
import { count, list, timeSpan } from './words.ts';

/** Times that this machine writes (run at, next attempt at) are compared with the database's clock. */
const CLOCK_OFFSET_MAX_MS = 2_000;
const STATEMENTS_SHOWN = 5;
const STATEMENT_LENGTH_SHOWN = 240;

export function judgeServers(facts: Facts): Finding[] {
  return [...judgeDatabase(facts), ...judgeSchema(facts), ...judgeTemporal(facts), ...judgeActivities(facts), ...judgePollers(facts)];
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

/** Job types with `engine: 'activity'` need what older servers lack. */
function judgeActivities(facts: Facts): Finding[] {
  const temporal = known(facts.temporal);
  const types = (known(facts.application)?.jobTypes ?? []).filter(({ engine }) => engine === 'activity').map(({ jobType }) => jobType);
  if (!temporal || types.length === 0) return [];
  if (temporal.standaloneActivities) return [ok('temporal.activities', `it runs standalone activities, for ${list(types)}`)];
  return [
    problem(
      'temporal.activities',
      `Temporal ${temporal.serverVersion} has no standalone activities (or not in this namespace), and ${list(types)} ${types.length === 1 ? 'needs' : 'need'} them`,
      "Upgrade Temporal to 1.32 or newer, or set engine: 'workflow' for these classes.",
      { values: { jobTypes: types } },
    ),
  ];
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
