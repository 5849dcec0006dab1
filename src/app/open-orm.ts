// The application's MikroORM: made from options, taken as it is, or returned by a function; and what this library adds.
import { MikroORM, type Options } from '@mikro-orm/postgresql';
import { AsyncJobError } from '../domain/errors.ts';
import { openApplications } from '../entity/application.ts';
import { checkMikroOrm } from './check-mikro-orm.ts';
import type { Config } from './config.ts';

export interface OpenedOrm {
  orm: MikroORM;
  /** Made for this application: closed with it. */
  isOurs: boolean;
}

let made = 0;

/** @throws AsyncJobError `app.context_name`, `orm.versions`, `settings.invalid` */
export async function openOrm(source: Config['orm'], databaseUrl: string | null): Promise<OpenedOrm> {
  const given = typeof source === 'function' ? await source() : source;
  checkMikroOrm(given);
  if (isOrm(given)) {
    refuseTakenContextName(given);
    return { orm: given, isOurs: typeof source === 'function' };
  }
  const options = given as Options;
  const namesDatabase =
    options.clientUrl !== undefined || options.dbName !== undefined || options.host !== undefined || options.driverOptions !== undefined;
  if (!namesDatabase && databaseUrl === null) {
    throw new AsyncJobError('settings.invalid', 'no database is named: set DATABASE_URL, or clientUrl in the MikroORM options.');
  }
  const orm = await MikroORM.init({
    ...options,
    ...(namesDatabase ? {} : { clientUrl: databaseUrl! }),
    // MikroORM finds the EntityManager of a request or transaction by this name: two ORMs with one name mix them up.
    contextName: options.contextName ?? `asyncjob-${++made}`,
    driverOptions: withLeakGuard(options.driverOptions),
  } as Options);
  return { orm: orm as MikroORM, isOurs: true };
}

function isOrm(value: unknown): value is MikroORM {
  return typeof (value as { em?: { fork?: unknown } }).em?.fork === 'function';
}

function refuseTakenContextName(orm: MikroORM): void {
  const name = orm.config.get('contextName');
  for (const { ormConfig } of openApplications()) {
    if (ormConfig !== orm.config && ormConfig.get('contextName') === name) {
      throw new AsyncJobError(
        'app.context_name',
        `another open application's MikroORM has the context name '${name}', too: their transactions would be mixed up. Give one of them another contextName in its options.`,
      );
    }
  }
}

interface ReleasableClient {
  once(event: 'end', listener: () => void): void;
  release?(destroy: boolean): void;
}

/**
 * kysely before 0.29.7 never gives back the connection of a transaction that was cut off (kysely issue 1990), so that
 * a few restarts of PostgreSQL use up the pool. A connection that ended is given back here; twice does no harm.
 */
function withLeakGuard(driverOptions: unknown): object {
  if (typeof driverOptions === 'function') return driverOptions; // a driver of the application's own
  const { onPoolCreated, ...others } = (driverOptions ?? {}) as { onPoolCreated?: (pool: unknown) => unknown };
  return {
    ...others,
    onPoolCreated: (pool: { on(event: 'connect', listener: (client: ReleasableClient) => void): void }) => {
      pool.on('connect', (client) => {
        client.once('end', () =>
          setTimeout(() => {
            try {
              client.release?.(true);
            } catch {
              // given back already
            }
          }, 250).unref(),
        );
      });
      return onPoolCreated?.(pool);
    },
  };
}
