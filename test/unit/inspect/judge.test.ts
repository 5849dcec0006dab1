import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ApplicationFacts, Facts, Failure, PackageCopy, Poller } from '../../../src/inspect/facts.ts';
import { CHECK_CODES, type CheckCode, type Finding } from '../../../src/inspect/findings.ts';
import { countLevels, exitCodeOf, judge } from '../../../src/inspect/judge.ts';
import { NODE_MINIMUM } from '../../../src/inspect/judge-packages.ts';
import { aDifference, aWorker, healthy, HOUR, lostJob, MINUTE, openJobs, SECOND, withJobs } from './facts.ts';

function failure(code: string | null, message: string): Failure {
  return { error: { code, message } };
}

/** The findings of one check, after a change of what is fine. */
function findings(code: CheckCode, changes: Partial<Facts> = {}): Finding[] {
  return judge(healthy(changes)).filter((finding) => finding.code === code);
}

function theFinding(code: CheckCode, changes: Partial<Facts> = {}): Finding {
  const found = findings(code, changes);
  expect(found).toHaveLength(1);
  return found[0]!;
}

describe('an installation in which everything is fine', () => {
  it('has one ok finding per check, in the order of the checks', () => {
    const found = judge(healthy());
    expect(found.map(({ level }) => level)).toEqual(found.map(() => 'ok'));
    expect(found.map(({ code }) => code)).toEqual(CHECK_CODES.filter((code) => !['handlers.without_table', 'workers.ttl'].includes(code)));
    expect(exitCodeOf(healthy(), found)).toBe(0);
  });

  it('is found so again: judging changes no facts', () => {
    const facts = healthy();
    judge(facts);
    expect(facts).toEqual(healthy());
  });
});

describe('how a report ends', () => {
  it('0 with warnings only, 1 with a problem', () => {
    const warned = healthy({ registry: { workers: [aWorker(), aWorker({ id: 'x', state: 'dead', goneForMs: HOUR })] } });
    expect(countLevels(judge(warned))).toMatchObject({ warning: 1, problem: 0 });
    expect(exitCodeOf(warned, judge(warned))).toBe(0);
    const broken = healthy({ temporal: failure('temporal.unavailable', 'no Temporal') });
    expect(exitCodeOf(broken, judge(broken))).toBe(1);
  });

  it.each<[Partial<Facts>, number]>([
    [{ settings: failure('settings.invalid', 'settings.invalid: 1 problem:\n  ASYNCJOB_QUEUES: is empty') }, 2],
    [{ configuration: failure('config.not_found', 'config.not_found: nothing here') }, 2],
    [{ configuration: failure('config.load_failed', 'config.load_failed: it threw') }, 1],
    [{ application: failure('job.duplicate_type', 'job.duplicate_type: two') }, 1],
    [{ application: failure('settings.invalid', 'settings.invalid: no database is named') }, 2],
  ])('%j ends with %i', (changes, exitCode) => {
    const facts = healthy(changes);
    expect(exitCodeOf(facts, judge(facts))).toBe(exitCode);
  });
});

describe('settings, configuration, application, handlers', () => {
  it('says each setting with its value and where it came from', () => {
    const { found, details } = theFinding('settings');
    expect(found).toBe('1 setting set: logLevel');
    expect(details).toEqual(['engine    workflow (default)', 'logLevel  debug (by ASYNCJOB_LOG_LEVEL)']);
  });

  it('shows every line of what is wrong, without repeating the code', () => {
    const message = 'settings.invalid: settings: 2 problems:\n  ASYNCJOB_QUEUES: is empty\n  --concurrency: 0 is too small';
    const { level, found, details } = theFinding('settings', { settings: failure('settings.invalid', message) });
    expect({ level, found, details }).toEqual({
      level: 'problem',
      found: 'settings: 2 problems:',
      details: ['ASYNCJOB_QUEUES: is empty', '--concurrency: 0 is too small'],
    });
  });

  it('warns of the inline engine', () => {
    const configuration = { file: '/x', shownAs: 'x', name: '', engine: 'inline' };
    const inline = healthy({ configuration, temporal: null, polling: null, registry: { workers: [] } });
    expect(countLevels(judge(inline))).toMatchObject({ warning: 1, problem: 0 }); // nobody misses workers
  });

  it('lists handlers by queue', () => {
    expect(theFinding('handlers')).toMatchObject({ details: ["queue 'default': Report", "queue 'mail': SendMail"] });
  });

  it('warns of a class without handler, and of no handler at all once', () => {
    const one = { handlers: { handled: ['Report'], withoutTable: [], problem: null } };
    expect(theFinding('handlers.missing', one)).toMatchObject({ level: 'warning', values: { jobTypes: ['SendMail'] } });
    const none = { handlers: { handled: [], withoutTable: [], problem: null } };
    expect(theFinding('handlers', none).level).toBe('warning');
    expect(findings('handlers.missing', none)).toEqual([]);
  });

  it('calls a handler whose class has no table a problem, and a module that does not load', () => {
    const strange = { handlers: { handled: ['Report', 'SendMail'], withoutTable: ['Old'], problem: null } };
    expect(theFinding('handlers.without_table', strange)).toMatchObject({ level: 'problem', values: { jobTypes: ['Old'] } });
    const broken = {
      handlers: {
        handled: [],
        withoutTable: [],
        problem: failure('handler.load_failed', 'handler.load_failed: 1 of 2 modules:\n  mail.handlers.ts: TypeError: x'),
      },
    };
    expect(theFinding('handlers', broken)).toMatchObject({
      level: 'problem',
      found: '1 of 2 modules:',
      details: ['mail.handlers.ts: TypeError: x'],
    });
  });
});

describe('packages', () => {
  function withCopy(name: string, version: string, folder = `/elsewhere/${name}`): Partial<Facts> {
    const { packages } = healthy();
    const added: PackageCopy = { name, version, folder, usedBy: ['asyncjob'] };
    return { packages: { ...packages, copies: [...packages.copies, added] } };
  }
  function withVersion(name: string, version: string): Partial<Facts> {
    const { packages } = healthy();
    return { packages: { ...packages, copies: packages.copies.map((copy) => (copy.name === name ? { ...copy, version } : copy)) } };
  }

  it('wants the Node that package.json names', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { engines: { node: string } };
    expect(manifest.engines.node).toBe(`>=${NODE_MINIMUM}`);
    const { packages } = healthy();
    expect(theFinding('packages.node', { packages: { ...packages, node: '22.17.1' } }).level).toBe('problem');
    expect(theFinding('packages.node', { packages: { ...packages, node: '22.18.0' } }).level).toBe('ok');
  });

  it('finds two versions of @temporalio/*, and two copies of one', () => {
    expect(theFinding('packages.temporal', withVersion('@temporalio/worker', '1.23.0'))).toMatchObject({
      level: 'problem',
      found: '@temporalio/* of 2 versions: 1.23.0, 1.24.0',
      details: ['1.23.0: @temporalio/worker', '1.24.0: @temporalio/client'],
    });
    expect(theFinding('packages.temporal', withCopy('@temporalio/client', '1.24.0')).level).toBe('warning');
  });

  it('finds a second copy of MikroORM’s core or sql, of whichever version', () => {
    expect(theFinding('packages.mikro_orm', withCopy('@mikro-orm/sql', '7.2.1'))).toMatchObject({
      level: 'problem',
      found: 'more than one copy of @mikro-orm/sql',
    });
    expect(theFinding('packages.mikro_orm', withVersion('@mikro-orm/sql', '7.2.0')).level).toBe('problem');
    expect(theFinding('packages.mikro_orm', withCopy('@mikro-orm/cli', '7.2.0')).level).toBe('warning');
  });

  it('finds a second copy of this library', () => {
    expect(theFinding('packages.asyncjob', withCopy('asyncjob', '1.2.3')).level).toBe('problem');
  });

  it.each([
    ['0.29.7', false, 'ok'],
    ['0.29.6', true, 'ok'],
    ['0.29.6', false, 'warning'],
    ['0.29.6', null, 'warning'],
    ['0.30.0-beta.2', false, 'warning'],
  ] as const)('kysely %s with leak guard %s: %s', (version, hasLeakGuard, level) => {
    const application = { ...(healthy().application as object), hasLeakGuard } as Facts['application'];
    expect(theFinding('packages.kysely', { ...withVersion('kysely', version), application }).level).toBe(level);
  });
});

describe('PostgreSQL', () => {
  it('that is away: a problem, and nothing is said of what it alone knows', () => {
    const away = {
      database: failure('database.unavailable', 'database.unavailable: PostgreSQL at db:5432/shop cannot be used (x).'),
      schema: null,
      registry: null,
      jobs: null,
    };
    expect(theFinding('database', away)).toMatchObject({ level: 'problem', found: 'PostgreSQL at db:5432/shop cannot be used (x)' });
    const codes = judge(healthy(away)).map(({ code }) => code);
    expect(codes.filter((code) => /^(workers|jobs|queues|database\.)/.test(code))).toEqual([]);
    expect(codes).toContain('temporal.pollers');
  });

  it('that takes no writes is a problem', () => {
    expect(theFinding('database', { database: { ...(healthy().database as object), isReadOnly: true } as Facts['database'] }).level).toBe(
      'problem',
    );
  });

  it.each([
    [1_500, 'ok'],
    [-1_500, 'ok'],
    [3_000, 'warning'],
    [-3_000, 'warning'],
  ] as const)('whose clock is off by %i ms: %s', (clockOffsetMs, level) => {
    expect(
      theFinding('database.clock', { database: { ...(healthy().database as object), clockOffsetMs } as Facts['database'] }).level,
    ).toBe(level);
  });

  it('behind the code is a problem, ahead of it a warning', () => {
    const behind = theFinding('database.schema', {
      schema: { statements: ['alter table "mail" add "to" text null', 'drop index "mail_x_index"'] },
    });
    expect(behind).toMatchObject({ level: 'problem', found: 'the database is behind the code: 2 statements to go' });
    expect(behind.details).toEqual(['alter table "mail" add "to" text null', 'drop index "mail_x_index"']);
    const ahead = theFinding('database.schema', {
      schema: { statements: ['alter table "mail" drop column "a", drop column "b"', 'drop index "mail_x_index"'] },
    });
    expect(ahead.level).toBe('warning');
  });

  it('shows the first statements only', () => {
    const statements = Array.from({ length: 8 }, (_, i) => `create index "mail_${i}_index" on "mail" ("a${'x'.repeat(400)}")`);
    const { details, values } = theFinding('database.schema', { schema: { statements } });
    expect(details).toHaveLength(6);
    expect(details!.at(-1)).toBe('… and 3 more');
    expect(details![0]!.length).toBeLessThan(250);
    expect(values).toEqual({ statements });
  });
});

describe('Temporal', () => {
  it('that is away: a problem whose advice is the error’s own', () => {
    const message =
      "temporal.unavailable: no Temporal at t:7233 (namespace 'default'). Start it (for development: temporal server start-dev), or set TEMPORAL_ADDRESS.";
    expect(theFinding('temporal', { temporal: failure('temporal.unavailable', message), polling: null })).toMatchObject({
      level: 'problem',
      found: "no Temporal at t:7233 (namespace 'default')",
      advice: 'Start it (for development: temporal server start-dev), or set TEMPORAL_ADDRESS',
    });
  });

  function polledBy(identity: string, lastAccessMsAgo = SECOND): Partial<Facts> {
    return pollers({ identity, lastAccessMsAgo });
  }
  function pollers(...polled: Poller[]): Partial<Facts> {
    return { polling: { queues: [{ queue: 'mail', taskQueue: 'shop/mail', pollers: polled }] } };
  }

  it.each([
    ['4711@host-2', 'another application'],
    ['asyncjob other host-2:5:bbbb', 'another application'],
    ['asyncjob host-2:5:bbbb', 'another application'],
    ['asyncjob shop host-2:5:bbbb', 'another database'],
  ])('a poller %j is of %s', (identity, whose) => {
    const ours = { identity: 'asyncjob shop host-1:100:aaaa', lastAccessMsAgo: SECOND };
    const found = theFinding('temporal.pollers', pollers(ours, { identity, lastAccessMsAgo: SECOND }));
    expect(found).toMatchObject({ level: 'problem', found: `1 poller of ${whose} on shop/mail` });
    expect(found.details![0]).toContain(identity);
  });

  it('knows a worker with app.plugin() by the SDK’s identity, and takes no other identity for a stranger while one is not seen', () => {
    const plugin = aWorker({ id: 'host-2:4711:bbbb', host: 'host-2', pid: 4711, queues: ['mail'] });
    const registry = { workers: [plugin] };
    expect(theFinding('temporal.pollers', { registry, ...polledBy('4711@host-2') }).level).toBe('ok');
    expect(theFinding('temporal.pollers', { registry, ...polledBy('billing') })).toMatchObject({
      level: 'warning',
      found: '1 poller that may be strangers on shop/mail',
    });
    expect(
      theFinding('temporal.pollers', { registry: { workers: [{ ...plugin, queues: ['paper'] }] }, ...polledBy('billing') }).level,
    ).toBe('problem');
    expect(theFinding('temporal.pollers', { registry: null, jobs: null, ...polledBy('billing') }).level).toBe('warning');
  });

  it('forgets pollers that went minutes ago', () => {
    expect(theFinding('temporal.pollers', polledBy('4711@host-2', 3 * MINUTE)).level).toBe('ok');
  });

  it('knows the workers of an application without a name', () => {
    const configuration = { file: '/x', shownAs: 'x', name: '', engine: 'workflow' };
    const registry = { workers: [aWorker({ application: '' })] };
    expect(theFinding('temporal.pollers', { configuration, registry, ...polledBy('asyncjob host-1:100:aaaa') }).level).toBe('ok');
    expect(theFinding('temporal.pollers', { configuration, registry, ...polledBy('asyncjob shop host-1:100:aaaa') }).level).toBe('problem');
  });

  it('calls nobody a stranger to a database that could not be asked', () => {
    expect(theFinding('temporal.pollers', { ...polledBy('asyncjob shop host-2:5:bbbb'), registry: null, jobs: null }).level).toBe('ok');
  });
});

describe('workers', () => {
  it('none that lives is a warning', () => {
    expect(theFinding('workers', { registry: { workers: [aWorker({ state: 'stopped' })] } }).level).toBe('warning');
  });

  it('counts only those of this application', () => {
    const registry = { workers: [aWorker({ application: 'other', state: 'dead' }), aWorker({ application: 'other', id: 'o' })] };
    expect(theFinding('workers', { registry }).level).toBe('warning');
    expect(theFinding('workers.died', { registry }).level).toBe('ok');
  });

  it('names those that ended without a word', () => {
    const registry = { workers: [aWorker(), aWorker({ id: 'host-2:7:cccc', state: 'dead', startedMsAgo: 3 * HOUR, goneForMs: HOUR })] };
    expect(theFinding('workers.died', { registry })).toMatchObject({
      level: 'warning',
      details: ['host-2:7:cccc: silent for 1 h, after 2 h'],
    });
  });

  it('warns of other versions, and of different times to live', () => {
    const registry = { workers: [aWorker(), aWorker({ id: 'b', version: '1.1.0', ttlMs: 30_000 }), aWorker({ id: 'c', ttlMs: 14_999 })] };
    expect(theFinding('workers.versions', { registry }).found).toBe('workers run asyncjob 1.1.0 (1), 1.2.3 (2); this command is 1.2.3');
    expect(theFinding('workers.ttl', { registry }).found).toBe('workers have different times to live: 15 s, 30 s');
  });
});

describe('jobs', () => {
  it('that wait on a queue without worker and poller are a problem; one finding for each queue', () => {
    const queues = [
      openJobs({ queue: 'post', due: 2, oldestDueMs: 2 * MINUTE }),
      openJobs({ jobType: 'Report', queue: 'post', due: 1, oldestDueMs: 5 * MINUTE }),
      openJobs({ queue: 'paper', later: 4 }),
      openJobs({ queue: 'mail', due: 9, oldestDueMs: HOUR }),
    ];
    const found = findings('queues.unserved', withJobs({ queues }));
    expect(found).toMatchObject([
      {
        level: 'problem',
        found: "no worker serves queue 'post', where 3 jobs (SendMail, Report) wait, the oldest for 5 min",
        advice: 'Start one: npx asyncjob worker --queue=post',
      },
      { level: 'warning', found: "no worker serves queue 'paper', where 4 jobs (SendMail) will be due" },
    ]);
  });

  it('that wait on a queue which only a worker that went away polled are a problem, too', () => {
    const facts = {
      ...withJobs({ queues: [openJobs({ due: 1, oldestDueMs: MINUTE })] }),
      registry: { workers: [aWorker({ state: 'dead' })] },
    };
    expect(theFinding('queues.unserved', facts).level).toBe('problem');
  });

  it('are judged without Temporal by the registry alone', () => {
    const away = { temporal: failure('temporal.unavailable', 'x'), polling: null };
    expect(theFinding('queues.unserved', { ...away, ...withJobs({ queues: [openJobs({ due: 1 })] }) }).level).toBe('ok');
    expect(theFinding('queues.unserved', { ...away, ...withJobs({ queues: [openJobs({ queue: 'post', due: 1 })] }) }).level).toBe(
      'problem',
    );
  });

  it.each([
    [10 * SECOND, 'warning'],
    [2 * MINUTE, 'problem'],
  ] as const)('never dispatched for %i ms: %s', (oldestUndispatchedMs, level) => {
    const facts = withJobs({ queues: [openJobs({ undispatched: 3, oldestUndispatchedMs })] });
    expect(theFinding('jobs.undispatched', facts)).toMatchObject({ level, values: { number: 3 } });
  });

  it('never dispatched: the advice depends on who is missing', () => {
    const facts = withJobs({ queues: [openJobs({ undispatched: 1, oldestUndispatchedMs: MINUTE })] });
    const advice = (changes: Partial<Facts>) => theFinding('jobs.undispatched', { ...facts, ...changes }).advice;
    expect(advice({ temporal: failure('temporal.unavailable', 'x') })).toContain('once Temporal is back');
    expect(advice({ registry: { workers: [] } })).toContain('start one');
    expect(advice({})).toContain('look in their logs');
  });

  it.each([
    [lostJob(), 'warning'],
    [lostJob({ holderGoneForMs: 80 * SECOND }), 'warning'],
    [lostJob({ holderGoneForMs: 100 * SECOND }), 'problem'],
    [lostJob({ holderGoneForMs: null, startedMsAgo: 10 * MINUTE, why: 'not run by its worker' }), 'problem'],
  ] as const)('lost: %j is a %s', (lost, level) => {
    const found = theFinding('jobs.lost', withJobs({ lost: [lost] }));
    expect(found.level).toBe(level);
    expect(found.details![0]).toContain(lost.id);
  });

  it('that no worker has a handler for are a problem after a minute', () => {
    const facts = (oldestHandlerMissingMs: number) => withJobs({ queues: [openJobs({ handlerMissing: 2, oldestHandlerMissingMs })] });
    expect(theFinding('jobs.handler_missing', facts(5 * SECOND)).level).toBe('warning');
    expect(theFinding('jobs.handler_missing', facts(5 * MINUTE))).toMatchObject({ level: 'problem', details: ["SendMail on 'mail': 2"] });
  });

  it('that have been running in a lane for long are a warning that says what lanes are for', () => {
    const found = theFinding('jobs.long_in_lane', withJobs({ queues: [openJobs({ longInLane: 2, longestInLaneMs: 5 * MINUTE })] }));
    expect(found).toMatchObject({ level: 'warning', values: { number: 2, longestMs: 5 * MINUTE, jobTypes: ['SendMail'] } });
    expect(found.advice).toContain('Lanes are for jobs of seconds');
  });

  it('that cannot be read are a problem', () => {
    const facts = { jobs: failure('database.schema', 'database.schema: relation "mail" does not exist.') };
    expect(theFinding('jobs', facts)).toMatchObject({
      level: 'problem',
      found: 'the job tables could not be read: relation "mail" does not exist',
    });
  });
});

describe('open jobs against Temporal', () => {
  const differing = (...differences: ReturnType<typeof aDifference>[]): Partial<Facts> => ({
    differences: { differences, looked: 3, isComplete: true, repair: false },
  });

  it('what a living worker repairs is a warning, without one a problem, with the plan for each job', () => {
    expect(theFinding('jobs.differences', differing(aDifference()))).toMatchObject({
      level: 'warning',
      found: '1 job that Temporal sees otherwise',
      details: ['SendMail 01900000-0000-7000-8000-000000000001, run 1: Temporal does not know its execution → to be run again'],
    });
    expect(theFinding('jobs.differences', { ...differing(aDifference()), registry: { workers: [] } }).level).toBe('problem');
  });

  it('what is left to people is a problem, whoever lives', () => {
    expect(theFinding('jobs.differences', differing(aDifference({ kind: 'report' })))).toMatchObject({
      level: 'problem',
      advice: expect.stringContaining('job.revoke({ terminate: true })') as string,
    });
  });

  it('what was repaired is fine, and what moved meanwhile is said', () => {
    const repaired = { differences: [aDifference({ repaired: true })], looked: 3, isComplete: true, repair: true };
    expect(theFinding('jobs.differences', { differences: repaired })).toMatchObject({
      level: 'ok',
      found: '1 job differed from Temporal and was repaired',
    });
    const moved = { differences: [aDifference({ repaired: true }), aDifference()], looked: 3, isComplete: true, repair: true };
    expect(theFinding('jobs.differences', { differences: moved })).toMatchObject({
      level: 'warning',
      advice: expect.stringContaining('Ask again') as string,
    });
  });

  it('a Temporal that does not answer in time is a warning', () => {
    expect(theFinding('jobs.differences', { differences: failure(null, 'no answer within 6 s') }).level).toBe('warning');
  });
});

describe('standalone activities', () => {
  it('that a job type needs and Temporal lacks are a problem, and of no interest otherwise', () => {
    const { temporal, application } = healthy();
    const old = { ...temporal, serverVersion: '1.29.0', standaloneActivities: false } as Facts['temporal'];
    expect(theFinding('temporal.activities', { temporal: old })).toMatchObject({ level: 'problem', values: { jobTypes: ['Report'] } });
    const jobTypes = (application as ApplicationFacts).jobTypes.map((type) => ({ ...type, engine: 'workflow' as const }));
    expect(findings('temporal.activities', { temporal: old, application: { ...(application as ApplicationFacts), jobTypes } })).toEqual([]);
  });
});
