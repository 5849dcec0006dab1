// Runs a piece of a module in a Node of its own: the test runner compiles what it imports, so that only there a test sees
// what Node itself says to TypeScript that it cannot strip.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const root = new URL('../../../', import.meta.url);

/** What `body`, the statements of an ES module below the project's root, wrote to stdout. */
export async function runNode(body: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', body], { cwd: root });
  return stdout;
}
