// The README's quickstart, followed literally: its files, its commands, in processes of their own.
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase, temporalAddress, type FreshDatabase } from '../support/servers.ts';
import { PATIENCE_MS } from './support/cli.ts';

const root = path.resolve(import.meta.dirname, '../..');
const quickstart = path.join(root, 'examples/quickstart');

describe('the quickstart', () => {
  let database: FreshDatabase;
  const running = new Set<ChildProcess>();
  beforeAll(async () => void (database = await freshDatabase()));
  afterAll(async () => {
    for (const child of running) child.kill('SIGKILL');
    await database?.drop();
  });

  function node(...args: string[]): { child: ChildProcess; output: () => string; exit: Promise<number | null> } {
    const env = { ...process.env, DATABASE_URL: database.url, TEMPORAL_ADDRESS: temporalAddress(), NODE_TEST_CONTEXT: undefined };
    const child = spawn(process.execPath, args, { cwd: quickstart, env, stdio: ['ignore', 'pipe', 'pipe'] });
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

  it.each([
    ['the command', [path.join(root, 'dist/src/cli/main.js'), 'worker', '-l', 'info', '--queue=my_queue', '--concurrency=10']],
    ['a bootstrap of one’s own', ['worker.ts']],
  ])('runs a job with a worker started by %s', async (_name, workerCommand) => {
    const main = node('main.ts'); // makes the tables, then waits for its job
    await expect.poll(main.output, { timeout: PATIENCE_MS }).toContain('PENDING');
    const worker = node(...workerCommand);
    expect([await main.exit, main.output()]).toEqual([0, expect.stringMatching(/PENDING [0-9a-f-]{36}\nSUCCESS 4 steps done\n$/)]);
    worker.child.kill('SIGTERM');
    expect([await worker.exit, worker.output()]).toEqual([0, expect.stringContaining('stopped')]);
  });

  it('is tested without Temporal', async () => {
    const test = node('--test', 'my-job.test.ts');
    expect([await test.exit, test.output()]).toEqual([0, expect.stringContaining('pass 1')]);
  });
});
