// The servers behind `asyncjob dev` and these tests themselves: they answer, they go, and failures say what to do.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { findTemporalCli, freePorts, isPortFree, startPostgres, startTemporal } from '../../src/dev/index.ts';
import { lastingPort } from '../support/lasting-port.ts';
import { temporalCli } from '../support/servers.ts';
import { until } from '../support/until.ts';

async function queryOne(url: string, statement: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text: statement, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const folder = await mkdtemp(path.join(tmpdir(), 'asyncjob-test-'));
  await chmod(folder, 0o755); // root's PostgreSQL runs as another user
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('startPostgres', () => {
  test('answers, and leaves neither port nor temporary data behind', async () => {
    const server = await startPostgres();
    try {
      expect(await queryOne(server.url, `select lower('ÄÖ')`)).toBe('äö');
      expect(await isPortFree(server.port)).toBe(false);
    } finally {
      await server.stop();
    }
    expect(await isPortFree(server.port)).toBe(true);
    expect(existsSync(server.dataDir)).toBe(false);
    await server.stop();
  });

  test('keeps committed rows through kill -9 and a start on the same folder and port', async () => {
    await using folder = await temporaryFolder();
    const dataDir = path.join(folder.path, 'data');
    const first = await startPostgres({ dataDir, port: await lastingPort() });
    try {
      await queryOne(first.url, 'create table t as select 7 as n');
      await first.kill9();
      const second = await startPostgres({ dataDir, port: first.port });
      try {
        expect(second.url).toBe(first.url);
        expect(await queryOne(second.url, 'select n from t')).toBe(7);
      } finally {
        await second.stop();
      }
    } finally {
      await first.stop();
    }
    expect(existsSync(path.join(dataDir, 'PG_VERSION'))).toBe(true);
  });

  test('refuses a port that is taken', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => {
      holder.listen(0, '127.0.0.1', resolve);
    });
    const { port } = holder.address() as AddressInfo;
    try {
      await expect(startPostgres({ port })).rejects.toThrow(`dev.server_failed: port ${port} is taken`);
    } finally {
      holder.close();
    }
  });

  test(`shows the server's own words when it does not start`, async () => {
    await expect(startPostgres({ settings: { shared_buffers: 'lots' } })).rejects.toThrow(/did not start[^]*shared_buffers/);
  });
});

describe('startTemporal', () => {
  test('answers with its namespace, in two servers at a time, and frees the ports', async () => {
    const servers = await Promise.all([startTemporal({ cli: temporalCli() }), startTemporal({ cli: temporalCli(), ui: false })]);
    try {
      expect(new Set(servers.map((server) => server.address)).size).toBe(2);
      for (const { address } of servers) {
        const connection = await Connection.connect({ address });
        try {
          const { namespaceInfo } = await connection.workflowService.describeNamespace({ namespace: 'default' });
          expect(namespaceInfo?.name).toBe('default');
        } finally {
          await connection.close();
        }
      }
      expect((await fetch(servers[0].uiUrl!)).status).toBe(200);
      expect(servers[1].uiUrl).toBeNull();
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
    for (const { port } of servers) expect(await isPortFree(port)).toBe(true);
  });

  test('starts again on the same file and port after kill -9', async () => {
    await using folder = await temporaryFolder();
    const dbFile = path.join(folder.path, 'temporal.db');
    const first = await startTemporal({ cli: temporalCli(), ui: false, dbFile, port: await lastingPort() });
    await first.kill9();
    const second = await startTemporal({ cli: temporalCli(), ui: false, dbFile, port: first.port });
    await second.stop();
    await first.stop();
    expect(second.address).toBe(first.address);
    expect(existsSync(dbFile)).toBe(true);
  });

  test('says what is wrong with a CLI that does not run', async () => {
    await expect(startTemporal({ cli: '/nowhere/temporal' })).rejects.toThrow(/dev\.server_failed: \/nowhere\/temporal does not run/);
  });
});

test('servers end with the process that started them, even after kill -9', async () => {
  const script = `
    import { startPostgres, startTemporal } from ${JSON.stringify(new URL('../../src/dev/index.ts', import.meta.url).href)};
    const servers = await Promise.all([startPostgres(), startTemporal({ cli: ${JSON.stringify(temporalCli())}, ui: false })]);
    console.log(JSON.stringify({ pids: servers.map((s) => s.pid), ports: servers.map((s) => s.port), dataDir: servers[0].dataDir }));
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise<string>((resolve, reject) => {
    parent.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    parent.once('exit', (code) => reject(new Error(`the parent ended with ${code}`)));
  });
  const { pids, ports, dataDir } = JSON.parse(line) as { pids: number[]; ports: number[]; dataDir: string };
  expect(pids.every(isAlive)).toBe(true);

  parent.kill('SIGKILL');

  await until(async () => (await Promise.all(ports.map(isPortFree))).every(Boolean), { what: 'both ports are free' });
  await until(() => !existsSync(dataDir), { what: 'the temporary data is gone' });
});

describe('findTemporalCli', () => {
  test('takes TEMPORAL_CLI when it works', async () => {
    const cli = await findTemporalCli({ env: { ...process.env, TEMPORAL_CLI: temporalCli() } });
    expect(cli.path).toBe(temporalCli());
    expect(cli.version).toMatch(/^temporal version \d/);
  });

  test('says that TEMPORAL_CLI points nowhere and goes on', async () => {
    const lines: string[] = [];
    const env = {
      ...process.env,
      TEMPORAL_CLI: '/nowhere/temporal',
      PATH: `${path.dirname(temporalCli())}${path.delimiter}${process.env['PATH']}`,
    };
    const cli = await findTemporalCli({ env, log: (line) => lines.push(line) });
    expect(cli).toMatchObject({ path: temporalCli(), source: 'the PATH' });
    expect(lines[0]).toContain('TEMPORAL_CLI=/nowhere/temporal does not work');
    expect(lines[1]).toContain(`Temporal CLI from the PATH: ${temporalCli()}`);
  });

  test('installs the official download into the cache folder, once for several processes', async () => {
    await using folder = await temporaryFolder();
    await writeFile(path.join(folder.path, 'temporal'), '#!/bin/sh\necho temporal version 0.0.0\n', { mode: 0o755 });
    execFileSync('tar', ['-czf', 'cli.tar.gz', 'temporal'], { cwd: folder.path });
    // A PATH with what the installation needs, and surely no Temporal CLI.
    await mkdir(path.join(folder.path, 'programs'));
    for (const name of ['tar', 'gzip']) {
      const program = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
      await symlink(program, path.join(folder.path, 'programs', name));
    }
    const asked: string[] = [];
    const service = createHttpServer((request, response) => {
      asked.push(request.url!);
      const { port } = service.address() as AddressInfo;
      if (request.url === '/cli.tar.gz') response.end(readFileSync(path.join(folder.path, 'cli.tar.gz')));
      else response.end(JSON.stringify({ archiveUrl: `http://127.0.0.1:${port}/cli.tar.gz`, fileToExtract: 'temporal' }));
    });
    await new Promise<void>((resolve) => {
      service.listen(0, '127.0.0.1', resolve);
    });
    try {
      const env = { PATH: path.join(folder.path, 'programs'), XDG_CACHE_HOME: folder.path };
      const find = () => findTemporalCli({ env, downloadUrl: `http://127.0.0.1:${(service.address() as AddressInfo).port}` });
      const found = await Promise.all([find(), find()]);
      const file = path.join(folder.path, 'asyncjob/temporal-cli/bin/temporal');
      for (const cli of found) expect(cli).toMatchObject({ path: file, version: 'temporal version 0.0.0' });
      expect(asked[0]).toMatch(/^\/cli\/default\?arch=\w+&platform=\w+&sdk-name=sdk-typescript&sdk-version=/);
      expect(await find()).toMatchObject({ path: file, source: 'the cache folder' });
      expect(readdirSync(path.join(folder.path, 'asyncjob'))).toEqual(['temporal-cli']);
    } finally {
      service.close();
    }
  });

  test('lists everything it tried when there is none', async () => {
    await using folder = await temporaryFolder();
    const [port] = await freePorts(1);
    const env = { PATH: '/nowhere', XDG_CACHE_HOME: folder.path, TEMPORAL_CLI: '/nowhere/temporal' };
    const failure = findTemporalCli({ env, downloadUrl: `http://127.0.0.1:${port}` });
    await expect(failure).rejects.toMatchObject({ code: 'temporal.cli_missing' });
    const message = await failure.catch((error: Error) => error.message);
    for (const tried of ['TEMPORAL_CLI=/nowhere/temporal', 'the PATH', 'the cache folder', 'the official download', 'the PyPI wheel']) {
      expect(message).toContain(tried);
    }
    expect(message).toContain('python3 -m pip is not there');
  });
});
