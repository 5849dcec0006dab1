// Another version of this library, installed apart: the built package under another version number, with the fixture
// application beside it, and on request with another workflow in its bundle.
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { Child, fixture } from './cli.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

export interface LibraryVersion extends AsyncDisposable {
  readonly version: string;
  /** Its `asyncjob …args`; hold it with `await using`. */
  start(args: readonly string[], env: Record<string, string>): Child;
}

export interface VersionOptions {
  version: string;
  /** Path of another generic workflow than the package's own. */
  workflow?: string;
  /** Changes of the fixture application: file → what it becomes. */
  application?: Record<string, (text: string) => string>;
}

export async function installVersion({ version, workflow, application = {} }: VersionOptions): Promise<LibraryVersion> {
  const folder = await mkdtemp(path.join(tmpdir(), `asyncjob-${version}-`));
  const manifest = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as object;
  await writeFile(path.join(folder, 'package.json'), JSON.stringify({ ...manifest, version }));
  await cp(path.join(ROOT, 'dist'), path.join(folder, 'dist'), { recursive: true });
  await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  await mkdir(path.join(folder, 'app'));
  await cp(fixture('app'), path.join(folder, 'app'), { recursive: true });
  for (const [file, change] of Object.entries(application)) {
    const place = path.join(folder, 'app', file);
    await writeFile(place, change(await readFile(place, 'utf8')));
  }
  if (workflow !== undefined) {
    const { code } = await bundleWorkflowCode({ workflowsPath: workflow, logger: new DefaultLogger('ERROR') });
    await writeFile(path.join(folder, 'dist/workflows/bundle.js'), code);
  }
  const main = path.join(folder, 'dist/src/cli/main.js');
  return {
    version,
    start: (args, env) => new Child([main, ...args], { env, cwd: path.join(folder, 'app') }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
