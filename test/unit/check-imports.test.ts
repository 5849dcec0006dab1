import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { checkImports, readImports } from '../../scripts/check-imports.ts';

const roots: string[] = [];

function tree(files: Record<string, string>): string {
  const root = mkdtempSync(path.join(tmpdir(), 'asyncjob-imports-'));
  roots.push(root);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
  return root;
}

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

describe('checkImports', () => {
  test('accepts a tree on the map', () => {
    const root = tree({
      'src/index.ts': `export { connect } from './app/connect.ts';`,
      'src/app/connect.ts': `import { Engine } from '../temporal/engine.ts';\nconst worker = () => import('../worker/index.ts');`,
      'src/temporal/engine.ts': `import { Client } from '@temporalio/client';\nimport { MOVES } from '../domain/lifecycle.ts';`,
      'src/domain/lifecycle.ts': `export const MOVES = {};`,
      'src/worker/index.ts': `import { Worker } from '@temporalio/worker';\nimport '../mirror/writer.ts';`,
      'src/mirror/writer.ts': `import pg from 'pg';\nimport { setTimeout } from 'node:timers/promises';`,
      'workflows/index.ts': `import { sleep } from '@temporalio/workflow';\nimport '../src/domain/lifecycle.ts';`,
      'activities/index.ts': `import type { ActivityInterceptors } from '@temporalio/worker';\nimport { Context } from '@temporalio/activity';`,
    });
    expect(checkImports(root)).toEqual([]);
  });

  test.each([
    ['src/domain/a.ts', `import pg from 'pg';`, 'src/domain may not import pg'],
    ['src/domain/a.ts', `import fs from 'node:fs';`, 'src/domain may not import node'],
    ['src/relay/a.ts', `import type { W } from '../mirror/writer.ts';`, 'src/relay may not import src/mirror'],
    ['src/mirror/a.ts', `import { Client } from '@temporalio/client';`, 'src/mirror may not import @temporalio/client'],
    ['src/cli/a.ts', `const c = await import('@temporalio/client');`, 'src/cli may not import @temporalio/client'],
    ['src/temporal/a.ts', `import { Worker } from '@temporalio/worker';`, 'src/temporal may not import @temporalio/worker'],
    ['src/app/a.ts', `import { run } from '../worker/index.ts';`, 'src/app may load src/worker with import() only'],
    ['workflows/a.ts', `import fs from 'node:fs';`, 'workflows may not import node'],
    ['activities/a.ts', `import { Worker } from '@temporalio/worker';`, 'activities may import only types of @temporalio/worker'],
    ['src/extras/a.ts', `import fs from 'node:fs';`, 'src/extras is not on the map (scripts/check-imports.ts)'],
  ])('%s: %s', (file, text, why) => {
    const specifier = /'([^']+)'/.exec(text)![1];
    expect(checkImports(tree({ [file]: `// one\n${text}\n` }))).toEqual([`${file}:2 imports ${specifier}: ${why}`]);
  });

  test('finds the way on which the root door would load the native core', () => {
    const root = tree({
      'src/index.ts': `export * from './app/connect.ts';`,
      'src/app/connect.ts': `\nexport { run } from '../worker/index.ts';`,
      'src/worker/index.ts': `import { Worker } from '@temporalio/worker';`,
    });
    expect(checkImports(root)).toEqual([
      'src/app/connect.ts:2 imports ../worker/index.ts: src/app may load src/worker with import() only',
      'src/worker/index.ts:1 imports @temporalio/worker: src/index.ts may not load it (src/index.ts → src/app/connect.ts → src/worker/index.ts)',
    ]);
  });
});

test('readImports sees every form of import and nothing in comments, strings and templates', () => {
  const source = [
    `import a from 'a';`,
    `import {`,
    `  b,`,
    `  type B,`,
    `} from "b";`,
    `import type { C } from 'c';`,
    `export * from './d.ts';`,
    `export type { E } from './e.ts';`,
    `import 'f';`,
    `const g = await import('g'); let h: typeof import('h');`,
    `// import x from 'no';`,
    `/* import x from 'no'; */ const url = 'http://x'; import('i');`,
    'const text = `',
    `import x from 'no';`,
    '`;',
    `export const y = Array.from('no');`,
    `const s = "import x from 'no'";`,
    `import type from 'j';`,
  ].join('\n');
  expect(readImports(source).map(({ line, specifier, kind }) => `${line} ${specifier} ${kind}`)).toEqual([
    '1 a static',
    '2 b static',
    '6 c type',
    '7 ./d.ts static',
    '8 ./e.ts type',
    '9 f static',
    '10 g dynamic',
    '10 h type',
    '12 i dynamic',
    '18 j static',
  ]);
});
