// `npm run demo` without the build: a child process, as a user starts it. It needs the built dist.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { check } from '../../examples/demo/stage/check.ts';
import type { AsyncJob, AsyncJobs } from '../../src/index.ts';
import { until } from '../support/until.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const TIMEOUT_MS = 180_000;

interface Demo {
  /** What it said so far. */
  output(): string;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with its exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals | null>;
}

const demos: Demo[] = [];

function startDemo(args: string[] = [], env: NodeJS.ProcessEnv = {}): Demo {
  // The shell of whoever runs the demo may be full of other servers, and of proxies.
  const others = {
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    TEMPORAL_NAMESPACE: 'other',
    DATABASE_URL: 'postgres://127.0.0.1:1/other',
    http_proxy: 'http://127.0.0.1:1',
  };
  const child = spawn(process.execPath, [path.join(ROOT, 'examples/demo/demo.ts'), ...args], {
    cwd: tmpdir(),
    env: { ...process.env, ...others, ASYNCJOB_ENGINE: 'inline', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  const demo: Demo = { output: () => output, signal: (signal) => void child.kill(signal), ended };
  demos.push(demo);
  return demo;
}

async function said(demo: Demo, text: string | RegExp): Promise<RegExpMatchArray> {
  await Promise.race([until(() => demo.output().match(text), { timeoutMs: TIMEOUT_MS }), demo.ended]);
  const found = demo.output().match(text);
  if (!found) throw new Error(`the demo ended without saying ${text}:\n${demo.output()}`);
  return found;
}

/** The processes and ports that the demo named and that are still there. */
async function leftovers(demo: Demo): Promise<string[]> {
  const pids = new Set([...demo.output().matchAll(/\(pid (\d+)\)/g)].map(([, pid]) => Number(pid)));
  const ports = new Set([...demo.output().matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port)));
  const answering = await Promise.all([...ports].map(async (port) => ((await answers(port)) ? [`port ${port}`] : [])));
  return [...[...pids].filter(isRunning).map((pid) => `process ${pid}`), ...answering.flat()];
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });
}

/** What it said, in one line. */
const inOneLine = (demo: Demo) => demo.output().replaceAll(/\s+/g, ' ');

describe('the demo', { timeout: TIMEOUT_MS }, () => {
  beforeAll(() => {
    if (!existsSync(path.join(ROOT, 'dist/src/index.js'))) throw new Error('dist is not built: npm run build');
  });
  afterEach(async () => {
    for (const demo of demos.splice(0)) {
      demo.signal('SIGKILL');
      await demo.ended;
    }
  });

  it('runs every job to its end, shows the rows, and leaves nothing behind', async () => {
    const demo = startDemo();
    expect({ code: await demo.ended, output: demo.output() }).toMatchObject({ code: 0 });
    const output = demo.output();

    for (const status of ['PENDING', 'STARTED', 'SUCCESS']) expect(output).toMatch(new RegExp(`HashFolder +@temporalio +${status}`));
    expect(output).toMatch(/node_modules\/@mikro-orm +SUCCESS +1 +\d+ +\d+ +[0-9a-f]{8}\n/);
    expect(output).toMatch(/2025 +SUCCESS +2 +1 +examples\/demo\/out\/sales-2025\.html/);
    expect(output).toMatch(/HashFolder +1 +failed +Error: ENOENT/);
    expect(output.match(/^✓ .* in Temporal$/gm)).toHaveLength(6);
    expect(output).toMatch(/http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/demo%2FRenderReport%2F[-0-9a-f]{36}%2F1\n/);
    expect(output.split('\n').filter((line) => line.length > 125)).toEqual([]);

    expect(output.match(/\(pid \d+\)/g)).toHaveLength(3);
    expect(await leftovers(demo)).toEqual([]);
    const report = await readFile(path.join(ROOT, 'examples/demo/out/sales-2025.html'), 'utf8');
    expect(report).toContain('2025-12');
  });

  it('stays with --keep, runs a job that is inserted as it says, and stops at Ctrl-C', async () => {
    const demo = startDemo(['--keep']);
    await said(demo, 'Ctrl-C');
    const [, ui] = await said(demo, /^Temporal UI +(\S+)$/m);
    const [, url] = await said(demo, /psql (\S+)/);
    const [insert] = await said(demo, /insert into hash_folder .*;/);
    expect((await fetch(ui!)).status).toBe(200);

    const client = new pg.Client({ connectionString: url! });
    await client.connect();
    try {
      await client.query(insert);
      await until(async () => (await client.query(`select from hash_folder where folder = 'src' and status = 'SUCCESS'`)).rowCount);
    } finally {
      await client.end();
    }

    demo.signal('SIGINT');
    expect({ code: await demo.ended, output: demo.output() }).toMatchObject({ code: 0 });
    expect(await leftovers(demo)).toEqual([]);
  });

  it('stops everything when it is interrupted', async () => {
    const demo = startDemo();
    await said(demo, 'STARTED');
    demo.signal('SIGINT');
    expect({ code: await demo.ended, output: demo.output() }).toMatchObject({ code: 130 });
    expect(demo.output()).toContain('Interrupted');
    expect(await leftovers(demo)).toEqual([]);
  });

  it('fails and says why when the worker dies', async () => {
    const demo = startDemo();
    const [, worker] = await said(demo, /^Worker \(pid (\d+)\)/m);
    await said(demo, 'STARTED');
    process.kill(Number(worker), 'SIGKILL');
    expect({ code: await demo.ended, output: demo.output() }).toMatchObject({ code: 1 });
    expect(inOneLine(demo)).toMatch(/The demo failed: the worker ended: SIGKILL\. It said last: .* worker starts/);
    expect(await leftovers(demo)).toEqual([]);
  });

  it('fails and says why when a server cannot start', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'demo-test-'));
    try {
      const cli = path.join(folder, 'temporal');
      await writeFile(cli, '#!/bin/sh\nif [ "$1" = --version ]; then echo temporal version 0; else echo no space left; exit 3; fi\n');
      await chmod(cli, 0o755);
      const demo = startDemo([], { TEMPORAL_CLI: cli });
      expect(await demo.ended).toBe(1);
      expect(inOneLine(demo)).toMatch(
        /The demo failed: dev\.server_failed: Temporal.* did not start \(exit code 3\)\. Its log: no space left/,
      );
      expect(await leftovers(demo)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('counts and names the jobs that did not end as they should', async () => {
    const describeWorkflow = async () => ({ status: { name: 'FAILED' } });
    const app = { temporal: { workflow: { getHandle: () => ({ describe: describeWorkflow }) } } } as unknown as AsyncJobs;
    const job = {
      constructor: { name: 'HashFolder' },
      status: 'FAILURE',
      workflowId: 'w',
      runId: 'r',
      refresh: async () => job,
    } as unknown as AsyncJob;
    using log = vi.spyOn(console, 'log').mockReturnValue();
    const failed = { job, subject: 'src', row: { status: 'FAILURE' }, workflow: 'FAILED' } as const;

    expect(await check(app, [failed, { ...failed, row: { status: 'SUCCESS' }, workflow: 'COMPLETED' }])).toBe(1);
    const lines = log.mock.calls.map(([line]) => String(line).replaceAll(/\s+/g, ' '));
    expect(lines[0]).toContain('✓ HashFolder src FAILURE, and FAILED in Temporal');
    expect(lines[1]).toContain('✗ HashFolder src status is FAILURE, not SUCCESS; its workflow is FAILED, not COMPLETED');
  });
});
