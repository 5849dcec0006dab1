// The benchmark runs, and no job has become more expensive in what does not depend on the machine: statements, calls to
// Temporal, bytes that Temporal keeps (test/bench/costs.json).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const BENCH = path.resolve(import.meta.dirname, '../bench/bench.ts');

test('every contestant runs, and costs no more statements, calls or bytes per job than it did', { timeout: 900_000 }, async () => {
  const bench = spawn(process.execPath, [BENCH, '--quick', '--json', '--guard'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [lines, complaints] = await Promise.all([text(bench.stdout), text(bench.stderr), once(bench, 'close')]);
  expect({ exitCode: bench.exitCode, complaints }).toMatchObject({ exitCode: 0 });

  const results = lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(results.map(({ contestant }) => contestant)).toEqual([
    'bare-temporal',
    'hand-written',
    'asyncjob/each',
    'asyncjob/activity',
    'asyncjob/lane',
  ]);
  const figure = expect.any(Number) as number;
  for (const result of results) {
    expect(result).toMatchObject({
      scenario: 'at-once',
      round: 1,
      n: figure,
      jobsPerS: figure,
      cpuMsPerJob: { producer: figure, worker: figure, temporal: figure, postgres: figure, all: figure },
      p50Ms: figure,
      p99Ms: figure,
    });
  }
});
