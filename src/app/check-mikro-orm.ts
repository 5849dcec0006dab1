// One MikroORM per process: with two copies or versions entities are registered in one and looked for in the other, and
// what follows are errors that explain nothing.
import { createRequire } from 'node:module';
import { MikroORM as CoreOrm } from '@mikro-orm/core';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';

const PACKAGES = ['@mikro-orm/core', '@mikro-orm/postgresql'] as const;

/** `given`: MikroORM options, or an initialised MikroORM. @throws AsyncJobError `orm.versions` */
export function checkMikroOrm(given: { driver?: unknown; em?: unknown }): void {
  const require = createRequire(import.meta.url);
  const [core, postgresql] = PACKAGES.map((name) => (require(`${name}/package.json`) as { version: string }).version);
  const advice = `Install one version of all @mikro-orm packages, once (npm ls @mikro-orm/core shows where they are).`;
  if (core !== postgresql) {
    throw new AsyncJobError(
      'orm.versions',
      `@mikro-orm/core is ${core} and @mikro-orm/postgresql ${postgresql}: they must be of one version. ${advice}`,
    );
  }
  const isForeignOrm = given.em !== undefined && !(given instanceof CoreOrm);
  const isForeignDriver =
    typeof given.driver === 'function' && given.driver.name === PostgreSqlDriver.name && given.driver !== PostgreSqlDriver;
  if (isForeignOrm || isForeignDriver) {
    throw new AsyncJobError('orm.versions', `the application uses another copy of MikroORM than asyncjob (which uses ${core}). ${advice}`);
  }
}
