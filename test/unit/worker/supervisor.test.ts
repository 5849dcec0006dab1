import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import type { Log } from '../../../src/domain/ports.ts';
import { supervise } from '../../../src/worker/supervisor.ts';

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };

it('a child is over when it has ended, also when what it started keeps its output open', async () => {
  let said = '';
  const stdout = new Writable({ write: (chunk, _encoding, done) => ((said += String(chunk)), done()) });
  const command = { file: '/bin/sh', args: ['-c', 'sleep 8 & echo last words; exit 3'], env: process.env };
  const before = performance.now();
  expect(await supervise({ processes: 1, command, log: SILENT, out: { stdout, stderr: stdout } })).toBe(3);
  expect(performance.now() - before).toBeLessThan(6_000);
  expect(said).toBe('[1] last words\n');
});
