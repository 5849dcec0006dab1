// The bundle of the generic workflow that every Temporal worker loads. The package ships it prebuilt; a bundle must come
// from the very version of the SDK that loads it, so with another version it is built when the worker starts (1 to 2 s).
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import type { Logger, WorkflowBundleOption } from '@temporalio/worker';

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const WORKFLOWS = new URL('../../workflows/', import.meta.url);
const PREBUILT = fileURLToPath(new URL('bundle.js', WORKFLOWS));
const PREBUILT_FACTS = fileURLToPath(new URL('bundle.json', WORKFLOWS));

interface BundleFacts {
  sdkVersion: string;
}

let built: Promise<WorkflowBundleOption> | null = null;

/** The prebuilt bundle when it fits, else one that is built once per process. */
export async function loadWorkflowBundle(): Promise<WorkflowBundleOption> {
  if (await isPrebuiltUsable()) return { codePath: PREBUILT };
  built ??= bundle();
  try {
    return await built;
  } catch (error) {
    built = null;
    throw error;
  }
}

/** For the package's build: writes `bundle.js` and `bundle.json` beside the compiled workflows. */
export async function writeWorkflowBundle(): Promise<string> {
  const { code } = await bundle();
  const facts: BundleFacts = { sdkVersion: installedSdkVersion('worker') };
  await writeFile(PREBUILT, code);
  await writeFile(PREBUILT_FACTS, `${JSON.stringify(facts)}\n`);
  return PREBUILT;
}

async function isPrebuiltUsable(): Promise<boolean> {
  if (!existsSync(PREBUILT) || !existsSync(PREBUILT_FACTS)) return false;
  const { sdkVersion } = JSON.parse(await readFile(PREBUILT_FACTS, 'utf8')) as BundleFacts;
  return sdkVersion === installedSdkVersion('worker');
}

export function installedSdkVersion(name: 'worker' | 'workflow'): string {
  return (createRequire(import.meta.url)(`@temporalio/${name}/package.json`) as { version: string }).version;
}

async function bundle(): Promise<{ code: string }> {
  const workflowsPath = fileURLToPath(new URL(`index.${EXTENSION}`, WORKFLOWS));
  // The SDK wants a source map; without the sources in it the bundle is a third of the size.
  return bundleWorkflowCode({
    workflowsPath,
    logger: SILENT,
    webpackConfigHook: (config) => ({ ...config, devtool: 'inline-nosources-source-map' }),
  });
}

/** The bundler's progress report; what goes wrong is thrown. */
const SILENT: Logger = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
