// Asks the main thread, from outside and while it is blocked, in whose code it is: V8's inspector interrupts it for an
// expression, which takes some milliseconds. A native call (a synchronous child process, a hash) is interrupted only when it
// ends, which is not waited for.
import { Session } from 'node:inspector';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AttemptRef } from '../../domain/ports.ts';
import { ATTEMPT_AT_WORK } from '../../entity/current-attempt.ts';

const LIMIT_MS = 1_000;
const FRAMES_MAX = 3;
const QUESTION = `({ ref: globalThis[Symbol.for('${ATTEMPT_AT_WORK}')]?.() ?? null, stack: String(new Error().stack) })`;
const FRAME = /^\s+at (?:async )?(?:(?<name>.+?) \()?(?<file>(?:file:\/\/|\/|[A-Za-z]:\\).+?):(?<line>\d+):\d+\)?$/gm;

/** Who keeps the main loop from turning. */
export type Blocking =
  /** `ref` null: code outside of attempts. `at`: the innermost functions with files, `name (file:line)`. */
  | { kind: 'code'; ref: AttemptRef | null; at: string[] }
  /** Somebody looks at it: it is paused. */
  | { kind: 'debugger' }
  /** The main thread did not answer in time (it is in a native call), or only once it was idle. */
  | { kind: 'unknown' };

interface Answer {
  ref: AttemptRef | null;
  stack: string;
}

/** `mayBePaused`: a debugger may have paused the main thread. */
export async function findBlocking(mayBePaused: boolean, limitMs = LIMIT_MS): Promise<Blocking> {
  const session = new Session();
  let timer: NodeJS.Timeout | undefined;
  try {
    session.connectToMainThread();
    const late = new Promise<null>((resolve) => (timer = setTimeout(resolve, limitMs, null)));
    if (mayBePaused && (await Promise.race([isPaused(session), late]))) return { kind: 'debugger' };
    const answer = await Promise.race([ask(session), late]);
    const at = placesOf(answer?.stack ?? '');
    if (answer === null || (answer.ref === null && at.length === 0)) return { kind: 'unknown' };
    return { kind: 'code', ref: answer.ref, at };
  } catch {
    return { kind: 'unknown' }; // a Node without inspector
  } finally {
    clearTimeout(timer);
    session.disconnect();
  }
}

function ask(session: Session): Promise<Answer | null> {
  return new Promise((resolve) => {
    session.post('Runtime.evaluate', { expression: QUESTION, returnByValue: true, silent: true }, (_, found) => {
      resolve((found?.result?.value ?? null) as Answer | null);
    });
  });
}

/** V8 tells each debugger that comes while it is paused. */
function isPaused(session: Session): Promise<boolean> {
  return new Promise((resolve) => {
    session.once('Debugger.paused', () => resolve(true));
    session.post('Debugger.enable', {}, () => setImmediate(resolve, false));
  });
}

function placesOf(stack: string): string[] {
  return [...stack.matchAll(FRAME)].slice(0, FRAMES_MAX).map(({ groups }) => {
    const { name = '(anonymous)', file, line } = groups as { name?: string; file: string; line: string };
    return `${name} (${path.relative(process.cwd(), file.startsWith('file:') ? fileURLToPath(file) : file)}:${line})`;
  });
}
