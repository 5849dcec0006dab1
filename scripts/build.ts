// Builds dist/: the JavaScript and types of src, workflows and activities in the same tree, and the workflow bundle that
// workers load instead of making it at their start.
import { spawnSync } from 'node:child_process';
import { chmodSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
// Built beside it and then exchanged: a worker or a test that runs from dist/ meanwhile never finds half of it.
const fresh = path.join(root, `.dist-${process.pid}`);

process.on('exit', () => rmSync(fresh, { recursive: true, force: true }));
compile();
const bundle = await bundleWorkflows();
chmodSync(path.join(fresh, 'src/cli/main.js'), 0o755);
const size = statSync(bundle).size;
rmSync(dist, { recursive: true, force: true });
renameSync(fresh, dist);
console.log(`Built dist/, workflow bundle ${Math.round(size / 1024)} kB.`);

function compile(): void {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

// With the compiled module, because it writes the bundle beside its own workflows.
async function bundleWorkflows(): Promise<string> {
  const module = pathToFileURL(path.join(fresh, 'src/worker/workflow-bundle.js')).href;
  const { writeWorkflowBundle } = (await import(module)) as typeof import('../src/worker/workflow-bundle.ts');
  return await writeWorkflowBundle();
}
