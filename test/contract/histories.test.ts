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
import { UnsandboxedWorker } from '../../src/worker/unsandboxed-worker.ts';
import { loadWorkflowBundle } from '../../src/worker/workflow-bundle.ts';

const FOLDER = path.join(import.meta.dirname, 'histories');
/** What executes workflows: Temporal's sandbox, and what workers use instead. */
const KINDS = [
  ['in the sandbox', Worker],
  ['without the sandbox', UnsandboxedWorker],
] as const;
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
async function replay(kind: typeof Worker, workflowBundle: WorkflowBundleOption): Promise<Map<string, string>> {
  const histories = names.map((name) => ({ workflowId: name, history: read(name) }) as HistoryAndWorkflowId);
  const results = new Map<string, string>();
  for await (const { workflowId, error } of kind.runReplayHistories({ workflowBundle }, histories)) {
    results.set(workflowId, error ? `${error.name}: ${error.message}` : 'ok');
  }
  return results;
}

/** What the workflow answers to each activation while its history is replayed, by execution. */
async function answers(kind: typeof Worker, workflowBundle: WorkflowBundleOption): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  class Listening extends kind {
    protected static override async createWorkflowCreator(...args: Parameters<typeof Worker.createWorkflowCreator>) {
      const creator = await super.createWorkflowCreator(...args);
      const createWorkflow = creator.createWorkflow.bind(creator);
      creator.createWorkflow = async (options) => {
        const workflow = await createWorkflow(options);
        const given: string[] = [];
        found.set(options.info.runId, given);
        const activate = workflow.activate.bind(workflow);
        workflow.activate = async (activation) => {
          const answer = await activate(activation);
          const text = JSON.stringify(answer, (_, value: unknown) =>
            ArrayBuffer.isView(value) ? Buffer.from(value as Uint8Array).toString() : value,
          );
          // Each replay has a queue of its own.
          given.push(text.replaceAll(/fake_replay_queue-\d+/g, 'queue'));
          return answer;
        };
        return workflow;
      };
      return creator;
    }
  }
  await replay(Listening, workflowBundle);
  return found;
}

function read(name: string): { events: { eventType: string }[] } {
  return JSON.parse(readFileSync(path.join(FOLDER, `${name}.json`), 'utf8')) as { events: { eventType: string }[] };
}

async function bundleOf(fixture: string): Promise<WorkflowBundleOption> {
  const workflowsPath = fileURLToPath(new URL(`fixtures/${fixture}.ts`, import.meta.url));
  return bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
}

let asItIs: WorkflowBundleOption;
let withATimerMore: WorkflowBundleOption;
let withATimerBehindPatched: WorkflowBundleOption;
beforeAll(async () => {
  installRuntime(silent);
  [asItIs, withATimerMore, withATimerBehindPatched] = await Promise.all([
    loadWorkflowBundle(),
    bundleOf('timer-added'),
    bundleOf('timer-added-patched'),
  ]);
}, 180_000);

describe.each(KINDS)('the workflow as it is, %s,', (_, kind) => {
  let results: Map<string, string>;
  beforeAll(async () => {
    results = await replay(kind, asItIs);
  });

  it.each(names)('replays %s', (name) => expect(results.get(name)).toBe('ok'));
});

it('the workflow answers without the sandbox as in it', async () => {
  const sandboxed = await answers(Worker, asItIs);
  expect(await answers(UnsandboxedWorker, asItIs)).toEqual(sandboxed);
  expect(await answers(UnsandboxedWorker, withATimerMore)).not.toEqual(sandboxed);
  expect(sandboxed.size).toBe(names.length);
});

describe.each(KINDS)('a changed workflow, %s,', (_, kind) => {
  it('with a timer more is found out by every history', async () => {
    const results = await replay(kind, withATimerMore);
    const undetected = [...results]
      .filter(([, result]) => !/DeterminismViolationError: .*Nondeterminism/.test(result))
      .map(([name]) => name);
    expect(undetected).toEqual([]);
    expect(results.size).toBe(names.length);
  });

  it('may be released when the change is behind patched()', async () => {
    const results = await replay(kind, withATimerBehindPatched);
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
