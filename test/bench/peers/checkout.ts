// The peers' benchmark as it can be run: a copy of its folder with its packages, this library's adapter and what its servers
// need. The folder itself stays as it is.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { cacheFolder } from '../../../src/dev/index.ts';

const PYTHON_MODULES = ['celery', 'django', 'psycopg2', 'redis'];
const PACKAGES = 'postgresql redis-server python3-celery python3-django python3-django-celery-results python3-psycopg2 python3-redis';

/** Its folder. @throws Error that says what is missing, and how to install it */
export async function prepareCheckout(folder: string): Promise<string> {
  if (!existsSync(path.join(folder, 'src/case.mjs'))) {
    throw new Error(`--peers: ${folder} is no peers' benchmark (it has no src/case.mjs). Name its folder: --peers FOLDER`);
  }
  requireServers();
  const copy = path.join(cacheFolder(), 'bench-peers');
  await mkdir(copy, { recursive: true });
  await rm(path.join(copy, 'src'), { recursive: true, force: true });
  await cp(path.join(folder, 'src'), path.join(copy, 'src'), { recursive: true, mode: 0 });
  await installPackages(folder, copy);
  const adapter = pathToFileURL(path.join(import.meta.dirname, 'asyncjob.ts')).href;
  await writeFile(path.join(copy, 'src/peers/asyncjob.mjs'), `export { default } from '${adapter}';\n`);
  return copy;
}

async function installPackages(folder: string, copy: string): Promise<void> {
  const modules = path.join(copy, 'node_modules');
  if (existsSync(path.join(folder, 'node_modules'))) {
    await rm(modules, { recursive: true, force: true });
    return symlink(path.join(folder, 'node_modules'), modules);
  }
  const lock = await readFile(path.join(folder, 'package-lock.json'), 'utf8');
  const installed = path.join(modules, '.installed-lock.json');
  if ((await readFile(installed, 'utf8').catch(() => '')) === lock) return;
  for (const name of ['package.json', 'package-lock.json']) await writeFile(path.join(copy, name), await readFile(path.join(folder, name)));
  console.error(`npm install in ${copy} …`);
  // Not `npm ci`: newer versions of npm miss the packages of other platforms in the lock file.
  const { status, stderr } = spawnSync('npm', ['install', '--no-audit', '--no-fund'], { cwd: copy, encoding: 'utf8' });
  if (status !== 0) throw new Error(`--peers: npm install in ${copy} failed:\n${stderr}`);
  await writeFile(installed, lock);
}

function requireServers(): void {
  const postgres = process.env['BENCH_PG_BIN'] ?? '/usr/lib/postgresql/15/bin';
  const python = process.env['BENCH_PYTHON'] ?? '/usr/bin/python3';
  const missing = [
    existsSync(path.join(postgres, 'initdb')) ? null : `PostgreSQL in ${postgres} (BENCH_PG_BIN names another folder)`,
    runs('redis-server', ['--version']) ? null : 'redis-server',
    runs(python, ['-c', `import ${PYTHON_MODULES.join(', ')}`])
      ? null
      : `the modules ${PYTHON_MODULES.join(', ')} of ${python} (BENCH_PYTHON names another one)`,
  ].filter((what) => what !== null);
  if (missing.length > 0) throw new Error(`--peers: missing: ${missing.join('; ')}. On Debian: apt-get install -y ${PACKAGES}`);
}

function runs(command: string, args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
