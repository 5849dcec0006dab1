// Workflows outlive deployments: whatever an earlier version has begun, this version's workflow must be able to go on
// with. Replays the recorded histories (scripts/record-histories.ts) of every version against the workflow as it is.
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HistoryAndWorkflowId } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { SCENARIOS } from '../../scripts/history-scenarios.ts';
import type { Log } from '../../src/domain/ports.ts';
import { VERSION } from '../../src/version.ts';
import { installRuntime } from '../../src/worker/temporal-runtime.ts';
import { loadWorkflowBundle } from '../../src/worker/workflow-bundle.ts';

const FOLDER = path.join(import.meta.dirname, 'histories');
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** `<version>/<scenario>` of every history. */
const names = globSync('*/*.json', { cwd: FOLDER })
  .map((file) =>
    file
      .replace(/\.json$/, '')
      .split(path.sep)
      .join('/'),
  )
  .sort();

/** How each history replays: `ok`, or what was found to differ. */
async function replay(workflowBundle: WorkflowBundleOption): Promise<Map<string, string>> {
  const histories = names.map((name) => ({ workflowId: name, history: read(name) }) as HistoryAndWorkflowId);
  const results = new Map<string, string>();
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
    results.set(workflowId, error ? `${error.name}: ${error.message}` : 'ok');
  }
  return results;
}

function read(name: string): { events: { eventType: string }[] } {
  return JSON.parse(readFileSync(path.join(FOLDER, `${name}.json`), 'utf8')) as { events: { eventType: string }[] };
}

async function bundleOf(fixture: string): Promise<WorkflowBundleOption> {
  const workflowsPath = fileURLToPath(new URL(`fixtures/${fixture}.ts`, import.meta.url));
  return bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
}

beforeAll(() => installRuntime(silent));

describe('the workflow as it is', () => {
  let results: Map<string, string>;
  beforeAll(async () => {
    results = await replay(await loadWorkflowBundle());
  });

  it.each(names)('replays %s', (name) => expect(results.get(name)).toBe('ok'));
});

describe('a changed workflow', () => {
  it('with a timer more is found out by every history', async () => {
    const results = await replay(await bundleOf('timer-added'));
    const undetected = [...results]
      .filter(([, result]) => !/DeterminismViolationError: .*Nondeterminism/.test(result))
      .map(([name]) => name);
    expect(undetected).toEqual([]);
    expect(results.size).toBe(names.length);
  });

  it('may be released when the change is behind patched()', async () => {
    const results = await replay(await bundleOf('timer-added-patched'));
    expect([...results].filter(([, result]) => result !== 'ok')).toEqual([]);
  });
});

describe('the recorded histories', () => {
  it('of this version cover every scenario: npm run histories makes them', () => {
    const expected = SCENARIOS.map(({ name }) => `${VERSION}/${name}`).sort();
    expect(names.filter((name) => name.startsWith(`${VERSION}/`))).toEqual(expected);
  });

  it.each(SCENARIOS)('of $name end as its scenario says', ({ name, closes }) => {
    const last = read(`${VERSION}/${name}`).events.at(-1)!.eventType;
    expect(last).toBe(`EVENT_TYPE_WORKFLOW_EXECUTION_${closes === 'CANCELLED' ? 'CANCELED' : closes}`);
  });

  it('hold nothing of the machine that made them', () => {
    const found = names.filter((name) => {
      const text = readFileSync(path.join(FOLDER, `${name}.json`), 'utf8');
      const payloads = [...text.matchAll(/"data": "([^"]+)"/g)].map(([, data]) => Buffer.from(data!, 'base64').toString());
      // Absolute paths, and the SDK's identity of a process.
      return /(^|[\s("])(\/[\w.-]+){2,}|file:\/\/|[A-Z]:\\\w|\d+@[a-z]/m.test([text, ...payloads].join('\n'));
    });
    expect(found).toEqual([]);
  });
});
