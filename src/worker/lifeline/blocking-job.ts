// Asks the main thread, from outside and while it is blocked, in whose code it is: V8's debugger stops it for some
// milliseconds. In a native call (a synchronous child process, a hash) it stops only afterwards, which is not waited for.
import { Session, type Debugger } from 'node:inspector';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AttemptRef } from '../../domain/ports.ts';
import { ATTEMPT_AT_WORK } from '../../entity/current-attempt.ts';

/** Of a large application it takes about 100 ms; for most of that the main thread goes on. */
const LIMIT_MS = 2_000;
const FRAMES_MAX = 3;

export interface Blocking {
  /** `null`: code outside of attempts. */
  ref: AttemptRef | null;
  /** The innermost functions with files, `name (file:line)`. */
  at: string[];
}

/** `null` when the main thread did not stop in time. Not to be used while a debugger is attached to it. */
export async function findBlocking(limitMs = LIMIT_MS): Promise<Blocking | null> {
  const session = new Session();
  let timer: NodeJS.Timeout | undefined;
  try {
    session.connectToMainThread();
    return await new Promise<Blocking | null>((resolve) => {
      timer = setTimeout(resolve, limitMs, null);
      ask(session, resolve);
    });
  } catch {
    return null; // a Node without inspector
  } finally {
    clearTimeout(timer);
    session.disconnect(); // which lets the main thread go on, whatever had become of the question
  }
}

function ask(session: Session, answer: (blocking: Blocking | null) => void): void {
  const files = new Map<string, string>();
  session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url));
  session.once('Debugger.paused', ({ params: { callFrames } }) => {
    const [top] = callFrames;
    const expression = `globalThis[Symbol.for('${ATTEMPT_AT_WORK}')]?.() ?? null`;
    if (!top) return answer(null);
    try {
      session.post(
        'Debugger.evaluateOnCallFrame',
        { callFrameId: top.callFrameId, expression, returnByValue: true, silent: true },
        (_, found) => answer({ ref: (found?.result?.value ?? null) as AttemptRef | null, at: placesOf(callFrames, files) }),
      );
    } catch {
      answer(null); // it came too late: the session is closed
    }
  });
  session.post('Debugger.enable');
  session.post('Debugger.pause');
}

function placesOf(frames: Debugger.CallFrame[], files: ReadonlyMap<string, string>): string[] {
  return frames
    .map(({ functionName, location }) => ({ functionName, line: location.lineNumber + 1, url: files.get(location.scriptId) ?? '' }))
    .filter(({ url }) => url.startsWith('file:'))
    .slice(0, FRAMES_MAX)
    .map(({ functionName, line, url }) => `${functionName || '(anonymous)'} (${path.relative(process.cwd(), fileURLToPath(url))}:${line})`);
}
