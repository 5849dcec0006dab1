// The package as strangers get it: packed, installed into an empty project, its doors opened, its examples followed.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastingPort } from '../support/lasting-port.ts';
import { freshDatabase, temporalAddress, type FreshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { PATIENCE_MS } from './support/cli.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
const SIZE_MAX = 460_000;

describe('the package', () => {
  let project: string;
  let tarball: string;
  let files: string[];
  let size: number;
  const databases: FreshDatabase[] = [];
  const running = new Set<ChildProcess>();

  beforeAll(async () => {
    project = await mkdtemp(path.join(tmpdir(), 'asyncjob-package-'));
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], { cwd: root });
    // npm 11 answers with a list, npm 12 with an object by name.
    const answer = JSON.parse(stdout) as Record<string, { filename: string; size: number; files: { path: string }[] }>;
    const [packed] = Object.values(answer);
    tarball = path.join(project, packed!.filename);
    size = packed!.size;
    files = packed!.files.map((file) => file.path);
    const { devDependencies } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    const pinned = (name: string) => devDependencies[name]!;
    await writeFile(
      path.join(project, 'package.json'),
      JSON.stringify({
        private: true,
        type: 'module',
        dependencies: {
          asyncjob: `file:${tarball}`,
          ...Object.fromEntries(
            ['core', 'postgresql', 'cli', 'decorators', 'migrations'].map((name) => [`@mikro-orm/${name}`, pinned('@mikro-orm/core')]),
          ),
          fastify: '^5.0.0',
          'reflect-metadata': '^0.2.2',
          tsx: '^4.23.0', // MikroORM's CLI reads TypeScript through it
          typescript: pinned('typescript'),
          '@types/node': pinned('@types/node'),
        },
      }),
    );
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'], { cwd: project });
    await cp(path.join(root, 'examples'), project, {
      recursive: true,
      filter: (source) => !/node_modules|[\\/]demo([\\/]|$)/.test(path.relative(root, source)),
    });
  }, 600_000);
  afterAll(async () => {
    for (const child of running) child.kill('SIGKILL');
    for (const database of databases) await database.drop();
    if (project) await rm(project, { recursive: true, force: true });
  });

  async function database(): Promise<FreshDatabase> {
    const fresh = await freshDatabase();
    databases.push(fresh);
    return fresh;
  }
  interface Started {
    child: ChildProcess;
    output(): string;
    exit: Promise<number | null>;
  }
  function node(folder: string, args: string[], env: Record<string, string> = {}): Started {
    const child = spawn(process.execPath, args, {
      cwd: path.join(project, folder),
      env: { ...process.env, TEMPORAL_ADDRESS: temporalAddress(), NODE_TEST_CONTEXT: undefined, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
    const exit = new Promise<number | null>((resolve) => {
      child.once('close', (code) => {
        running.delete(child);
        resolve(code);
      });
    });
    return { child, output: () => output, exit };
  }
  async function finished(started: Started): Promise<string> {
    const code = await started.exit;
    if (code !== 0) throw new Error(`ended with ${code}:\n${started.output()}`);
    return started.output();
  }
  const bin = (name: string) => path.join(project, 'node_modules', name);
  const ASYNCJOB = 'asyncjob/dist/src/cli/main.js';
  const TSC = 'typescript/bin/tsc';
  async function stop(worker: Started): Promise<void> {
    worker.child.kill('SIGTERM');
    await finished(worker);
  }

  it('has only what users need in it', () => {
    expect(
      files.filter((file) => !/^(dist\/(src|workflows|activities)\/|package\.json$|README\.md$|LICENSE$|CHANGELOG\.md$)/.test(file)),
    ).toEqual([]);
    expect(files.filter((file) => /\.test\.|\.map$/.test(file))).toEqual([]);
    expect(size).toBeLessThan(SIZE_MAX);
  });

  it('opens by every door, and the root door does not load the native Temporal core', async () => {
    const { exports } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as { exports: Record<string, unknown> };
    for (const door of Object.keys(exports).filter((name) => !name.endsWith('.json') && name !== './workflows')) {
      const specifier = path.posix.join('asyncjob', door);
      const script = `const door = await import('${specifier}'); if (Object.keys(door).length === 0) throw new Error('empty');
        process.stdout.write(process.report.getReport().sharedObjects.some((file) => file.includes('core-bridge')) ? 'native' : 'light')`;
      const output = await finished(node('.', ['--input-type=module', '-e', script]));
      expect(`${door} ${output}`).toBe(`${door} ${['./worker'].includes(door) ? 'native' : 'light'}`);
    }
  });

  it('ships the workflow bundle of the SDK that it depends on', async () => {
    const facts = JSON.parse(await readFile(bin('asyncjob/dist/workflows/bundle.json'), 'utf8')) as { sdkVersion: string };
    const sdk = JSON.parse(await readFile(bin('@temporalio/worker/package.json'), 'utf8')) as { version: string };
    expect(facts.sdkVersion).toBe(sdk.version);
  });

  describe('the quickstart', () => {
    it('runs as TypeScript, by the commands of the README', async () => {
      const env = { DATABASE_URL: (await database()).url };
      const main = node('quickstart', ['main.ts'], env);
      await until(() => main.output().includes('PENDING'), { timeoutMs: PATIENCE_MS });
      const worker = node('quickstart', [bin(ASYNCJOB), 'worker', '-l', 'info', '--queue=my_queue', '--concurrency=10'], env);
      expect(await finished(main)).toContain('SUCCESS 4 steps done');
      await stop(worker);
      expect(await finished(node('quickstart', ['--test', 'my-job.test.ts'], env))).toContain('pass 1');
    });

    it('runs compiled by tsc', async () => {
      const env = { DATABASE_URL: (await database()).url };
      const compiler = {
        target: 'es2024',
        lib: ['es2024', 'esnext.disposable'],
        module: 'nodenext',
        strict: true,
        skipLibCheck: true,
        rewriteRelativeImportExtensions: true,
        outDir: 'build',
        rootDir: '.',
        types: ['node'],
      };
      await writeFile(path.join(project, 'quickstart/tsconfig.json'), JSON.stringify({ compilerOptions: compiler, include: ['**/*.ts'] }));
      await finished(node('quickstart', [bin(TSC)]));
      const main = node('quickstart/build', ['main.js'], env);
      await until(() => main.output().includes('PENDING'), { timeoutMs: PATIENCE_MS });
      const worker = node('quickstart/build', [bin(ASYNCJOB), 'worker', '--queue=my_queue'], env);
      expect(await finished(main)).toContain('SUCCESS 4 steps done');
      await stop(worker);
    });
  });

  it('is used by a web process that enqueues in its transactions, and by a worker process', async () => {
    const port = await lastingPort();
    const env = { DATABASE_URL: (await database()).url, PORT: String(port) };
    await finished(node('web', [bin(TSC), '--skipLibCheck']));
    const web = node('web', ['server.ts'], env);
    await until(() => web.output().includes('listening'), { timeoutMs: PATIENCE_MS });
    const call = async (method: string, url: string, body?: object) => {
      const response = await fetch(`http://127.0.0.1:${port}${url}`, {
        method,
        ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
      });
      return { code: response.status, ...((await response.json()) as { id: string; status: string; output?: object }) };
    };
    const posted = await call('POST', '/reports', { name: 'Ada', pages: 2 });
    expect(posted).toMatchObject({ code: 200, status: 'PENDING' });
    expect(await call('POST', '/reports', { name: 'nobody' })).toMatchObject({ code: 422 });
    const unwanted = await call('POST', '/reports', { name: 'Bob' });
    expect(await call('DELETE', `/reports/${unwanted.id}`)).toMatchObject({ status: 'REVOKED' });
    const worker = node('web', [bin(ASYNCJOB), 'worker', '--queue=reports', '--concurrency=5'], env);
    await until(async () => (await call('GET', `/reports/${posted.id}`)).status === 'SUCCESS', { timeoutMs: PATIENCE_MS });
    expect(await call('GET', `/reports/${posted.id}`)).toMatchObject({ output: { title: '2 pages for Ada' } });
    expect(await call('GET', `/reports/${unwanted.id}`)).toMatchObject({ status: 'REVOKED' });
    await stop(worker);
    web.child.kill('SIGTERM');
    await finished(web);
  });

  it('gets its tables by the application’s own migrations, and the next ones when the code changes', async () => {
    const env = { DATABASE_URL: (await database()).url };
    const mikroOrm = async (command: string) => finished(node('migrations', [bin('@mikro-orm/cli/cli.js'), command], env));
    await finished(node('migrations', [bin(TSC), '--skipLibCheck']));
    await mikroOrm('migration:create');
    await mikroOrm('migration:up');
    expect(await mikroOrm('migration:check')).toContain('No changes required');
    await cp(path.join(project, 'migrations/jobs.next.ts'), path.join(project, 'migrations/jobs.ts'));
    await mikroOrm('migration:create');
    const made = (await readdir(path.join(project, 'migrations/migrations'))).toSorted();
    const next = await readFile(path.join(project, 'migrations/migrations', made.at(-1)!), 'utf8');
    expect(made).toHaveLength(2);
    expect(next).toMatch(/alter table "import" add "?encoding"? text null/);
    expect(next).toContain('create table "cleanup"');
    expect(next.split('override down')[0]).not.toMatch(/drop table|drop column|alter column/);
    await mikroOrm('migration:up');
    expect(await mikroOrm('migration:check')).toContain('No changes required');
  });

  it('runs in a Temporal worker that was there before, beside its own workflows', async () => {
    const env = { DATABASE_URL: (await database()).url };
    await finished(node('existing-worker', [bin(TSC), '--skipLibCheck']));
    const enqueue = node('existing-worker', ['enqueue.ts'], env);
    await until(async () => enqueue.output() !== '' || (await hasRow(env.DATABASE_URL, 'shout')), { timeoutMs: PATIENCE_MS });
    const worker = node('existing-worker', ['worker.ts'], env);
    expect(await finished(enqueue)).toContain('SUCCESS HELLO / Hello, Ada!');
    await stop(worker);
  });

  it.each(['es-decorators', 'legacy-decorators'])('serves classes with decorators: %s', async (example) => {
    const env = { DATABASE_URL: (await database()).url };
    await finished(node(example, [bin(TSC)]));
    const main = node(example, ['dist/main.js'], env);
    await until(() => hasRow(env.DATABASE_URL, 'send_mail'), { timeoutMs: PATIENCE_MS });
    const worker = node(example, [bin(ASYNCJOB), 'worker', '-A', 'dist', '--queue=mail'], env);
    expect(await finished(main)).toContain('SUCCESS "Hello" to ada@example.com');
    await stop(worker);
  });

  it('says in one error that two versions of MikroORM are installed', async () => {
    const manifest = bin('@mikro-orm/postgresql/package.json');
    const before = await readFile(manifest, 'utf8');
    await writeFile(manifest, before.replace(/"version": "[^"]+"/, '"version": "7.9.9"'));
    try {
      const main = node('quickstart', ['main.ts'], { DATABASE_URL: 'postgres://localhost:1/none' });
      expect(await main.exit).not.toBe(0);
      expect(main.output()).toMatch(/orm\.versions: @mikro-orm\/core is \S+ and @mikro-orm\/postgresql 7\.9\.9/);
    } finally {
      await writeFile(manifest, before);
    }
  });

  it('says in one error that the application uses another copy of MikroORM', async () => {
    const own = path.join(project, 'second-copy');
    await mkdir(path.join(own, 'node_modules'), { recursive: true });
    await cp(bin('@mikro-orm'), path.join(own, 'node_modules/@mikro-orm'), { recursive: true });
    await cp(path.join(project, 'quickstart'), own, { recursive: true });
    const main = node('second-copy', ['main.ts'], { DATABASE_URL: 'postgres://localhost:1/none' });
    expect(await main.exit).not.toBe(0);
    expect(main.output()).toMatch(/orm\.versions: the application uses another copy of MikroORM than asyncjob/);
  });
});

async function hasRow(url: string, table: string): Promise<boolean> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(`select 1 from ${table}`)).rows.length > 0;
  } finally {
    await client.end();
  }
}
