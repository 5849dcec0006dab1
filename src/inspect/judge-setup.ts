// What the application says of itself: settings, configuration, entities, handlers.
import type { ApplicationFacts, Facts, HandlerFacts } from './facts.ts';
import { isFailure, known } from './facts.ts';
import { ok, problem, warning, type CheckCode, type Finding } from './findings.ts';
import { count, list } from './words.ts';

export function judgeSetup(facts: Facts): Finding[] {
  return [...judgeSettings(facts), ...judgeConfiguration(facts), ...judgeApplication(facts), ...judgeHandlers(facts)];
}

/** Messages of this library begin with their code, which a finding shows elsewhere, and end with a full stop. */
export function withoutCode({ code, message }: { code: string | null; message: string }): string {
  const text = code !== null && message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message;
  return text.replace(/\.$/, '');
}

function failed(code: CheckCode, { error }: { error: { code: string | null; message: string } }, advice: string): Finding {
  const [first = '', ...rest] = withoutCode(error).split('\n');
  const details = rest.map((line) => line.replace(/^ {2}/, ''));
  return problem(code, first, advice, { ...(details.length > 0 ? { details } : {}), values: { code: error.code } });
}

function judgeSettings({ settings }: Facts): Finding[] {
  if (settings === null) return [];
  if (isFailure(settings)) return [failed('settings', settings, 'Correct them; nothing else was looked at.')];
  const given = settings.settings.filter(({ source }) => source !== 'default');
  const from = {
    option: 'by option',
    environment: '',
    config: 'in the configuration',
    profile: "in Temporal's profile file",
    default: 'default',
  };
  const width = Math.max(...settings.settings.map(({ name }) => name.length));
  const details = settings.settings.map(({ name, value, source, env, note }) => {
    const origin = source === 'environment' ? `by ${env}` : from[source];
    return `${name.padEnd(width)}  ${value} (${origin})${note ? `: ${note}` : ''}`;
  });
  const found = given.length === 0 ? 'all are defaults' : `${count(given.length, 'setting')} set: ${list(given.map(({ name }) => name))}`;
  return [ok('settings', found, { details, values: { settings: settings.settings } })];
}

function judgeConfiguration({ configuration }: Facts): Finding[] {
  if (configuration === null) return [];
  if (isFailure(configuration))
    return [failed('configuration', configuration, 'Nothing that depends on it was looked at: handlers, database, Temporal, jobs.')];
  const { file, shownAs, name, engine } = configuration;
  const found = `${shownAs} is the application ${name === '' ? 'without a name' : `'${name}'`}`;
  const values = { file, name, engine };
  if (engine === 'inline')
    return [
      warning(
        'configuration',
        `${found}; its engine is 'inline': jobs run in the process that enqueues them, without Temporal and workers`,
        "That is for tests. Set engine: 'workflow', or unset ASYNCJOB_ENGINE.",
        { values },
      ),
    ];
  return [ok('configuration', found, { values })];
}

function judgeApplication({ application }: Facts): Finding[] {
  if (application === null) return [];
  if (isFailure(application))
    return [
      failed('application', application, 'Workers and web processes fail in the same way. Handlers, database and jobs were not looked at.'),
    ];
  const { jobTypes } = application;
  if (jobTypes.length === 0)
    return [
      warning('application', 'no job class is among the entities', 'List them in the MikroORM configuration: entities: [...jobs(MyJob)].', {
        values: { jobTypes: [] },
      }),
    ];
  return [
    ok('application', `${count(jobTypes.length, 'job type')}: ${list(jobTypes.map(({ jobType }) => jobType).sort(), 12)}`, {
      values: { jobTypes },
    }),
  ];
}

function judgeHandlers({ handlers, application }: Facts): Finding[] {
  const found = known(handlers);
  const { jobTypes = [] } = known(application) ?? {};
  if (!found) return [];
  return [...loaded(found, jobTypes), ...missing(found, jobTypes), ...withoutTable(found)];
}

function loaded({ problem: why, handled }: HandlerFacts, jobTypes: ApplicationFacts['jobTypes']): Finding[] {
  const byQueue = Object.groupBy(
    jobTypes.filter(({ jobType }) => handled.includes(jobType)),
    ({ queue }) => queue,
  );
  const queues = Object.entries(byQueue).map(([queue, types]) => ({ queue, jobTypes: types!.map(({ jobType }) => jobType).sort() }));
  const details = queues.map((each) => `queue '${each.queue}': ${each.jobTypes.join(', ')}`).sort();
  const values = { handled, queues };
  if (why !== null) return [failed('handlers', why, 'A worker fails in the same way: correct the modules, or `setup`.')];
  if (handled.length === 0 && jobTypes.length > 0)
    return [
      warning(
        'handlers',
        'no handler was found',
        'Handlers live in handlers.*, *.handlers.* or a folder handlers/ below the configuration file, or where its `handlers` says.',
        { values },
      ),
    ];
  return [ok('handlers', `${count(handled.length, 'handler')} on ${count(queues.length, 'queue')}`, { details, values })];
}

function missing({ handled, problem: why }: HandlerFacts, jobTypes: ApplicationFacts['jobTypes']): Finding[] {
  const without = jobTypes.map(({ jobType }) => jobType).filter((jobType) => !handled.includes(jobType));
  if (jobTypes.length === 0 || handled.length === 0 || why !== null) return [];
  if (without.length === 0) return [ok('handlers.missing', 'every job class has a handler')];
  return [
    warning(
      'handlers.missing',
      `${count(without.length, 'job class', 'job classes')} without a handler here: ${list(without)}`,
      'Their jobs wait until a worker has it. Register it in a handlers module, unless another program runs them.',
      { values: { jobTypes: without } },
    ),
  ];
}

function withoutTable({ withoutTable: types }: HandlerFacts): Finding[] {
  if (types.length === 0) return [];
  return [
    problem(
      'handlers.without_table',
      `${count(types.length, 'handler')} for what is not among the entities: ${list(types)}`,
      `Put the ${types.length === 1 ? 'class' : 'classes'} into jobs(…) in the MikroORM configuration; workers do not start before.`,
      { values: { jobTypes: types } },
    ),
  ];
}
