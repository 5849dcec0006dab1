// Whether the installed packages fit together.
import type { Facts, PackageCopy } from './facts.ts';
import { known } from './facts.ts';
import { ok, problem, warning, type CheckCode, type Finding } from './findings.ts';
import { count, list } from './words.ts';

/** As in package.json (`engines`). */
export const NODE_MINIMUM = '22.18';
/** Before it, the connection of a transaction that was cut off is never given back (kysely issue 1990). */
const KYSELY_MINIMUM = '0.29.7';
/** One version of them, and one copy, or entities of one copy are strangers to the other. */
const MIKRO_CORE = ['@mikro-orm/core', '@mikro-orm/sql', '@mikro-orm/postgresql'];

export function judgePackages(facts: Facts): Finding[] {
  const { copies } = facts.packages;
  return [
    judgeNode(facts.packages.node),
    ...judgeLibrary(copies.filter(({ name }) => name === 'asyncjob')),
    ...judgeTemporal(copies.filter(({ name }) => name.startsWith('@temporalio/'))),
    ...judgeMikroOrm(copies.filter(({ name }) => name.startsWith('@mikro-orm/'))),
    ...judgeKysely(
      copies.filter(({ name }) => name === 'kysely'),
      known(facts.application)?.hasLeakGuard,
    ),
  ];
}

function judgeNode(version: string): Finding {
  const values = { version, minimum: NODE_MINIMUM };
  if (isAtLeast(version, NODE_MINIMUM)) return ok('packages.node', `Node ${version}`, { values });
  return problem('packages.node', `Node ${version} is older than ${NODE_MINIMUM}`, `Install Node ${NODE_MINIMUM} or newer.`, { values });
}

function judgeLibrary(copies: PackageCopy[]): Finding[] {
  if (copies.length === 0) return [];
  const values = { copies };
  if (copies.length === 1) return [ok('packages.asyncjob', `asyncjob ${copies[0]!.version}`, { values })];
  return [
    problem(
      'packages.asyncjob',
      `${copies.length} copies of asyncjob: the application’s job classes are none to this command`,
      'Install it once, and start the command with npx in the application’s folder.',
      { details: copies.map(describe), values },
    ),
  ];
}

function judgeTemporal(copies: PackageCopy[]): Finding[] {
  if (copies.length === 0) return [];
  const code = 'packages.temporal';
  const values = { copies };
  const versions = versionsOf(copies);
  if (versions.length > 1)
    return [
      problem(
        code,
        `@temporalio/* of ${versions.length} versions: ${versions.join(', ')}`,
        'They must be of one version: a workflow bundle fits only the SDK that made it. Give all the same exact version in package.json.',
        { details: perVersion(copies), values },
      ),
    ];
  const twice = duplicated(copies);
  if (twice.length > 0)
    return [
      warning(
        code,
        `@temporalio/* ${versions[0]}, but ${list(twice)} more than once`,
        'Failures and clients of one copy are strangers to the other. Run: npm dedupe',
        { details: copies.filter(({ name }) => twice.includes(name)).map(describe), values },
      ),
    ];
  return [ok(code, `@temporalio/* ${versions[0]} (${count(copies.length, 'package')})`, { values })];
}

function judgeMikroOrm(copies: PackageCopy[]): Finding[] {
  if (copies.length === 0) return [];
  const code: CheckCode = 'packages.mikro_orm';
  const values = { copies };
  const versions = versionsOf(copies);
  const core = copies.filter(({ name }) => MIKRO_CORE.includes(name));
  const twice = duplicated(core);
  if (twice.length > 0)
    return [
      problem(
        code,
        `more than one copy of ${list(twice)}`,
        'Entities and metadata of one copy are unknown to the other. Give all @mikro-orm/* one exact version in package.json, then: npm dedupe',
        { details: core.filter(({ name }) => twice.includes(name)).map(describe), values },
      ),
    ];
  const found = `@mikro-orm/* of ${versions.length} versions: ${versions.join(', ')}`;
  const advice = 'Give all @mikro-orm/* one exact version in package.json.';
  const more = { details: perVersion(copies), values };
  if (versionsOf(core).length > 1) return [problem(code, found, advice, more)];
  if (versions.length > 1) return [warning(code, found, advice, more)];
  return [ok(code, `@mikro-orm/* ${versions[0]} (${count(copies.length, 'package')}, one copy of each)`, { values })];
}

function judgeKysely(copies: PackageCopy[], hasLeakGuard: boolean | null | undefined): Finding[] {
  if (copies.length === 0) return [];
  const leaking = copies.filter(({ version }) => !isAtLeast(version, KYSELY_MINIMUM) || version.includes('-'));
  const values = { copies, hasLeakGuard: hasLeakGuard ?? null };
  const versions = versionsOf(copies).join(', ');
  if (leaking.length === 0) return [ok('packages.kysely', `kysely ${versions}`, { values })];
  if (hasLeakGuard === true)
    return [ok('packages.kysely', `kysely ${versions}, older than ${KYSELY_MINIMUM}, with this library’s guard in place`, { values })];
  return [
    warning(
      'packages.kysely',
      `kysely ${versions}: each transaction that a restart of PostgreSQL cuts off takes a connection from the pool for ever`,
      `Add "overrides": { "kysely": "^${KYSELY_MINIMUM}" } to the application’s package.json, or give MikroORM options instead of an initialised ORM, so that connect() can guard its pool.`,
      { values },
    ),
  ];
}

function versionsOf(copies: readonly PackageCopy[]): string[] {
  return [...new Set(copies.map(({ version }) => version))].sort();
}

function duplicated(copies: readonly PackageCopy[]): string[] {
  const names = copies.map(({ name }) => name);
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
}

function perVersion(copies: readonly PackageCopy[]): string[] {
  return versionsOf(copies).map((version) => {
    const names = copies.filter((copy) => copy.version === version).map(({ name }) => name);
    return `${version}: ${[...new Set(names)].join(', ')}`;
  });
}

function describe({ name, version, folder, usedBy }: PackageCopy): string {
  return `${name} ${version} in ${folder}, used by ${list(usedBy, 4)}`;
}

/** Whether a version is `minimum` or newer; what follows a `-` is not looked at. */
export function isAtLeast(version: string, minimum: string): boolean {
  const numbers = (text: string) => text.split('-')[0]!.split('.').map(Number);
  const have = numbers(version);
  const want = numbers(minimum);
  for (let i = 0; i < want.length; i++) {
    const difference = (have[i] ?? 0) - want[i]!;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
