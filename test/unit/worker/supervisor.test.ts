import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import type { Log } from '../../../src/domain/ports.ts';
import { supervise } from '../../../src/worker/supervisor.ts';

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };

it('a child is over when it has ended, also when what it started keeps its output open', async () => {
  let said = '';
  const stdout = new Writable({ write: (chunk, _encoding, done) => ((said += String(chunk)), done()) });
  const command = { file: '/bin/sh', args: ['-c', 'sleep 60 & echo $!; exit 3'], env: process.env };
  expect(await supervise({ processes: 1, command, log: SILENT, out: { stdout, stderr: stdout } })).toBe(3);
  const [, pid] = /^\[1\] (\d+)\n$/.exec(said)!;
  // Throws when it has ended: then it was waited for.
  process.kill(Number(pid), 'SIGKILL');
});
