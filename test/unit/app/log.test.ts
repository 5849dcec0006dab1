import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { createLog, type LogFormat } from '../../../src/app/log.ts';

function logged(format: LogFormat): string {
  let text = '';
  const destination = new Writable({ write: (chunk, _, done) => ((text += String(chunk)), done()) });
  const log = createLog('info', { format, destination });
  log.debug({}, 'hidden');
  log.child({ jobType: 'SendMail', jobId: 'f00', run: 1, attempt: 2 }).info({}, 'started');
  log.error({ queue: 'mail', error: new TypeError('no address') }, 'attempt failed');
  return text;
}

it('writes JSON lines with the error in them', () => {
  const lines = logged('json').trim().split('\n');
  expect(lines).toHaveLength(2);
  expect(JSON.parse(lines[0]!)).toMatchObject({ jobType: 'SendMail', jobId: 'f00', run: 1, attempt: 2, msg: 'started' });
  expect(JSON.parse(lines[1]!)).toMatchObject({
    level: 50,
    msg: 'attempt failed',
    queue: 'mail',
    error: { type: 'TypeError', message: 'no address' },
  });
});

it('writes for people on a terminal', () => {
  const text = logged('pretty');
  expect(text).toContain('SendMail/f00/1 attempt 2: started');
  expect(text).not.toContain('jobType');
  expect(text).toMatch(/ERROR.*: attempt failed/);
  expect(text).toMatch(/queue.*mail/);
  expect(text).toContain('TypeError: no address');
});
