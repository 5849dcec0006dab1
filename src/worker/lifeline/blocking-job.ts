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

export interface Blocking {
  /** `null`: code outside of attempts. */
  ref: AttemptRef | null;
  /** The innermost functions with files, `name (file:line)`. */
  at: string[];
}

/** `null` when the main thread did not answer in time, or only once it was idle. Not for one to which a debugger is attached. */
export async function findBlocking(limitMs = LIMIT_MS): Promise<Blocking | null> {
  const session = new Session();
  let timer: NodeJS.Timeout | undefined;
  try {
    session.connectToMainThread();
    const answer = await new Promise<{ ref: AttemptRef | null; stack: string } | null>((resolve) => {
      timer = setTimeout(resolve, limitMs, null);
      session.post('Runtime.evaluate', { expression: QUESTION, returnByValue: true, silent: true }, (_, found) => {
        resolve((found?.result?.value ?? null) as { ref: AttemptRef | null; stack: string } | null);
      });
    });
    const at = placesOf(answer?.stack ?? '');
    return answer === null || (answer.ref === null && at.length === 0) ? null : { ref: answer.ref, at };
  } catch {
    return null; // a Node without inspector
  } finally {
    clearTimeout(timer);
    session.disconnect();
  }
}

function placesOf(stack: string): string[] {
  return [...stack.matchAll(FRAME)].slice(0, FRAMES_MAX).map(({ groups }) => {
    const { name = '(anonymous)', file, line } = groups as { name?: string; file: string; line: string };
    return `${name} (${path.relative(process.cwd(), file.startsWith('file:') ? fileURLToPath(file) : file)}:${line})`;
  });
}
