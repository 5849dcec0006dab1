// Whether a worker's workflow runs in the SDK's sandbox. Without it a job takes a third less of a worker's CPU, but insides of
// the SDK: only of the version for which test/contract/histories.test.ts and test/integration/workflow-sandbox.test.ts
// showed that both answer the same, and that each goes on with what the other one began.
import { Worker } from '@temporalio/worker';
import type { Log } from '../domain/ports.ts';
import { installedSdkVersion } from './workflow-bundle.ts';

/** The version that package.json names, compared by test/unit/worker/worker-class.test.ts. */
export const KNOWN_SDK_VERSION = '1.24.0';

export async function workerClassOf(sandbox: boolean, log: Log, versionOf = installedSdkVersion): Promise<typeof Worker> {
  if (sandbox) return Worker;
  const found = (['worker', 'workflow'] as const).map((name) => `@temporalio/${name} ${versionOf(name)}`);
  if (found.every((each) => each.endsWith(` ${KNOWN_SDK_VERSION}`))) return (await import('./unsandboxed-worker.ts')).UnsandboxedWorker;
  log.warn(
    { found, known: KNOWN_SDK_VERSION },
    `the workflow runs in Temporal's sandbox, which takes more CPU and memory: this version of asyncjob can do without it on version ${KNOWN_SDK_VERSION} of the SDK only, and found ${found.join(' and ')}. Install that version, or set ASYNCJOB_WORKFLOW_SANDBOX=true to keep the sandbox without this warning.`,
  );
  return Worker;
}
