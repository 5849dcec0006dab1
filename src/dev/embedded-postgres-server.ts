// A PostgreSQL of one's own for development and tests: real PostgreSQL from npm, on the loopback interface only.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AsyncJobError } from '../domain/errors.ts';
import { spawnServer, type ChildServer } from './child-server.ts';
import { freePorts, isPortFree, LOOPBACK } from './free-port.ts';
import { findPostgres, firstClosedFolder, postgresUser, reachablePostgres, type OsUser } from './postgres-binaries.ts';

export interface PostgresOptions {
  /** Where the data is kept; made when missing, and kept by `stop()`. Without it, a temporary folder that goes with `stop()`. */
  dataDir?: string;
  /** @default a free one */
  port?: number;
  /** Server settings, as in postgresql.conf. */
  settings?: Record<string, string | number>;
  log?: (line: string) => void;
}

export interface PostgresServer {
  /** Of the database `postgres`, with user and password. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  /** Fast shutdown. Removes the data when it is temporary; may be called again, and after `kill9()`. */
  stop(): Promise<void>;
  /** SIGKILL of the postmaster, as a crash. The data stays; `startPostgres({ dataDir, port })` starts it again. */
  kill9(): Promise<void>;
}

const run = promisify(execFile);
const START_TIMEOUT_MS = 30_000;
const PASSWORD_FILE = 'asyncjob.password';
// Survives kill -9 of the server, not the machine's power failure: fit for data nobody keeps.
const TEMPORARY_SETTINGS = { fsync: 'off', full_page_writes: 'off' };

/** @throws AsyncJobError `dev.server_failed` */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const { log = () => {}, port } = options;
  if (port !== undefined && !(await isPortFree(port)))
    throw failed(`port ${port} is taken. Choose another one, or stop what listens there.`);
  const user = await postgresUser();
  const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-postgres-'));
  try {
    await own(folder, user);
    const dataDir = path.resolve(options.dataDir ?? path.join(folder, 'data'));
    const native = await reachablePostgres(await findPostgres(), user, folder);
    const program = (name: string) => path.join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
    for (const name of ['initdb', 'postgres']) await chmod(program(name), 0o755).catch(() => {});
    const password = await prepareData({ dataDir, initdb: program('initdb'), user, folder, temporary: options.dataDir === undefined });
    const settings = {
      listen_addresses: LOOPBACK,
      unix_socket_directories: '',
      max_connections: 300,
      ...(options.dataDir === undefined ? TEMPORARY_SETTINGS : {}),
      ...options.settings,
    };
    const { server, usedPort } = await startServer({ postgres: program('postgres'), dataDir, settings, user, folder, port });
    const version = readFileSync(path.join(dataDir, 'PG_VERSION'), 'utf8').trim();
    log(`PostgreSQL ${version} on ${LOOPBACK}:${usedPort} (pid ${server.pid}), data in ${dataDir}`);
    return {
      url: `postgres://postgres:${password}@${LOOPBACK}:${usedPort}/postgres`,
      port: usedPort,
      pid: server.pid,
      dataDir,
      stop: server.stop,
      kill9: server.kill9,
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

interface DataOptions {
  dataDir: string;
  initdb: string;
  user: OsUser;
  folder: string;
  temporary: boolean;
}

/** Makes the data folder when it is new; returns the password of the user `postgres`. */
async function prepareData({ dataDir, initdb, user, folder, temporary }: DataOptions): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const closed = await firstClosedFolder(dataDir, user);
  if (closed !== null) {
    throw failed(
      `PostgreSQL runs as the OS user 'postgres' when started by root, and that user may not pass ${closed} on the way to ${dataDir}. ` +
        `Open it with 'chmod o+x ${closed}', choose another data folder, or do not work as root.`,
    );
  }
  const passwordFile = path.join(dataDir, PASSWORD_FILE);
  if (existsSync(passwordFile)) return (await readFile(passwordFile, 'utf8')).trim();
  if ((await readdir(dataDir)).length > 0) {
    throw failed(`${dataDir} is neither empty nor made by a finished start of this server. Remove it, or choose another data folder.`);
  }
  await own(dataDir, user);
  const password = randomBytes(18).toString('base64url');
  const newPasswordFile = path.join(folder, 'password');
  await writeFile(newPasswordFile, `${password}\n`, { mode: 0o600 });
  await own(newPasswordFile, user);
  const args = ['-D', dataDir, '-U', 'postgres', `--pwfile=${newPasswordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C'];
  args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions', ...(temporary ? ['--no-sync'] : []));
  try {
    await run(initdb, args, { cwd: folder, env: { ...process.env, LC_ALL: 'C' }, ...user });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw failed(`initdb could not make ${dataDir}: ${error instanceof Error ? error.message : error}\n${stdout}${stderr}`.trim(), error);
  }
  // Last, because it also says that the folder is complete.
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  await own(passwordFile, user);
  return password;
}

interface ServerOptions {
  postgres: string;
  dataDir: string;
  settings: Record<string, string | number>;
  user: OsUser;
  folder: string;
  port: number | undefined;
}

async function startServer({
  postgres,
  dataDir,
  settings,
  user,
  folder,
  port,
}: ServerOptions): Promise<{ server: ChildServer; usedPort: number }> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const usedPort = port ?? (await freePorts(1))[0]!;
    const args = [
      '-D',
      dataDir,
      '-p',
      String(usedPort),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ];
    const server = await spawnServer({
      command: postgres,
      args,
      folder,
      stopSignal: 'SIGINT',
      env: { ...process.env, LC_ALL: 'C' },
      ...user,
    }).catch((error: unknown) => {
      throw failed(`${postgres} does not run: ${error instanceof Error ? error.message : error}`, error);
    });
    if (await becameReady(server, dataDir, deadline)) return { server, usedPort };
    const text = server.log();
    const why = server.ended() ?? `not ready within ${START_TIMEOUT_MS / 1000} s`;
    // After a crash the old backends need a moment to go; and somebody else may have taken the port meanwhile.
    const mayPass = /shared memory block .*still in use/.test(text) || (port === undefined && text.includes('could not bind'));
    if (!mayPass || Date.now() > deadline) {
      await server.stop();
      throw failed(`PostgreSQL on ${LOOPBACK}:${usedPort} with the data in ${dataDir} did not start (${why}). Its log:\n${text}`);
    }
    await rm(path.join(folder, 'server.log'), { force: true });
    await sleep(200);
  }
}

// The postmaster writes its state to the eighth line of its pid file; pg_ctl waits in the same way.
async function becameReady(server: ChildServer, dataDir: string, deadline: number): Promise<boolean> {
  while (server.ended() === null && Date.now() < deadline) {
    const lines = (await readFile(path.join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    if (Number(lines[0]) === server.pid && lines[7]?.trim() === 'ready') return true;
    await sleep(20);
  }
  return false;
}

async function own(file: string, user: OsUser): Promise<void> {
  if (user.uid !== undefined && user.gid !== undefined) await chown(file, user.uid, user.gid);
}

function failed(message: string, cause?: unknown): AsyncJobError {
  return new AsyncJobError('dev.server_failed', message, { cause });
}
