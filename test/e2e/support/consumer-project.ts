// A project that has installed this library: the built package in its node_modules, beside what the package declares as
// dependencies and nothing else of ours, so that a type or module that is shown but not brought along is noticed.
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');

export interface ConsumerProject extends AsyncDisposable {
  readonly folder: string;
  /** What the compiler finds, as `file(line,column): error TS…: message`; only in this project and in our types. */
  check(typescript: 'typescript' | 'typescript-6', ...args: string[]): Promise<string[]>;
  /** Runs a module of it in a process of its own; its stdout. Throws with its stderr when it fails. */
  run(file: string, env?: Record<string, string>): Promise<string>;
}

/** `files` (path → text) besides package.json; `packages` are what the project itself depends on. */
export async function consumerProject(files: Record<string, string>, packages: readonly string[]): Promise<ConsumerProject> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'asyncjob-consumer-')));
  await installInto(folder, packages);
  for (const [path, text] of Object.entries({ 'package.json': '{ "type": "module" }', ...files })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return {
    folder,
    async check(typescript, ...args) {
      const { stdout } = await node(folder, [join(root, 'node_modules', typescript, 'bin/tsc'), '--pretty', 'false', ...args]);
      // Paths of others' types lead out of the folder, through the links.
      return stdout.split('\n').filter((line) => /^(?!\.\.|\s).*error TS/.test(line));
    },
    async run(file, env = {}) {
      const { code, stdout, stderr } = await node(folder, [file], env);
      if (code !== 0) throw new Error(`${file} ended with ${code}\n${stderr}\n${stdout}`);
      return stdout;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function installInto(folder: string, packages: readonly string[]): Promise<void> {
  const { name, files, dependencies, peerDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    name: string;
    files: string[];
    dependencies: Record<string, string>;
    peerDependencies: Record<string, string>;
  };
  const ours = join(folder, 'node_modules', name);
  for (const file of ['package.json', ...files]) await cp(join(root, file), join(ours, file), { recursive: true });
  for (const other of [...Object.keys(dependencies), ...Object.keys(peerDependencies), ...packages]) {
    const link = join(folder, 'node_modules', other);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', other), link);
  }
}

function node(
  cwd: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, args, { cwd, env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((done, failed) => {
    child.once('error', failed);
    child.once('close', (code) => done({ code, stdout, stderr }));
  });
}
