// When a worker does without the SDK's sandbox.
import { readFileSync } from 'node:fs';
import { Worker } from '@temporalio/worker';
import { expect, it } from 'vitest';
import type { Log } from '../../../src/domain/ports.ts';
import { UnsandboxedWorker } from '../../../src/worker/unsandboxed-worker.ts';
import { KNOWN_SDK_VERSION, workerClassOf } from '../../../src/worker/worker-class.ts';

function warnings(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log: Log = { debug() {}, info() {}, error() {}, warn: (_fields, line) => void lines.push(line), child: () => log };
  return { log, lines };
}

it('the known version of the SDK is the one that package.json names', () => {
  const { dependencies } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  expect([dependencies['@temporalio/worker'], dependencies['@temporalio/workflow']]).toEqual([KNOWN_SDK_VERSION, KNOWN_SDK_VERSION]);
});

it('with the installed version: without the sandbox, unless it is asked for', async () => {
  const { log, lines } = warnings();
  expect(await workerClassOf(false, log)).toBe(UnsandboxedWorker);
  expect(await workerClassOf(true, log)).toBe(Worker);
  expect(lines).toEqual([]);
});

it.each(['worker', 'workflow'] as const)(
  'with another version of @temporalio/%s: in the sandbox, with one line that says why',
  async (other) => {
    const { log, lines } = warnings();
    expect(await workerClassOf(false, log, (name) => (name === other ? '1.25.0' : KNOWN_SDK_VERSION))).toBe(Worker);
    expect(lines).toEqual([expect.stringContaining(`@temporalio/${other} 1.25.0`)]);
  },
);
