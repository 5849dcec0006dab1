// The built types as a project sees them that has installed the library and checks them with either compiler, without
// `skipLibCheck`. What they must allow and refuse says test/types/uses.ts.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consumerProject, type ConsumerProject } from './support/consumer-project.ts';

const COMPILERS = ['typescript', 'typescript-6'] as const;

const doors = `
import type { JobWorker } from 'asyncjob/worker';
import * as workflows from 'asyncjob/workflows';
import * as activities from 'asyncjob/activities';
import * as testing from 'asyncjob/testing';
import manifest from 'asyncjob/package.json' with { type: 'json' };
export const name: string = manifest.name;
export type Drained = ReturnType<JobWorker['shutdown']>;
void [workflows, activities, testing];
`;

const exported = `
import { asyncJob, jobs, p } from 'asyncjob';
export class Invoice extends asyncJob('Invoice', { amount: p.integer(), note: p.text().nullable(), kind: p.enum(['a', 'b'] as const) }) {
  declare output?: { url: string } | null;
}
export const entities = jobs(Invoice);
export const pay = () => Invoice.create({ amount: 1, kind: 'a' });
`;

const tsconfig = (include: string, options: object) =>
  JSON.stringify({
    compilerOptions: {
      target: 'es2024',
      lib: ['es2024', 'esnext.disposable'],
      module: 'nodenext',
      resolveJsonModule: true,
      strict: true,
      noEmit: true,
      noImplicitOverride: true,
      noUncheckedIndexedAccess: true,
      types: ['node'],
      ...options,
    },
    include: [include],
  });

describe('the built types', () => {
  let project: ConsumerProject;
  const found = new Map<string, string[]>();
  const errorsOf = (compiler: string) => found.get(compiler)!.filter((error) => !error.includes('error TS7016'));

  beforeAll(async () => {
    const uses = await readFile(new URL('../types/uses.ts', import.meta.url), 'utf8');
    project = await consumerProject(
      {
        'src/uses.ts': uses.replace('../../src/index.ts', 'asyncjob'),
        'src/doors.ts': doors,
        'exported/invoice.ts': exported,
        'tsconfig.json': tsconfig('src', { skipLibCheck: false }),
        'tsconfig.declaration.json': tsconfig('exported', {
          skipLibCheck: true,
          noEmit: false,
          declaration: true,
          rootDir: 'exported',
          outDir: 'out',
        }),
      },
      ['@mikro-orm/decorators', '@types/node'],
    );
    await Promise.all(COMPILERS.map(async (compiler) => found.set(compiler, await project.check(compiler))));
  }, 180_000);
  afterAll(() => project?.[Symbol.asyncDispose]());

  it.each(COMPILERS)('are right and hold what they promise with %s', (compiler) => {
    expect(errorsOf(compiler)).toEqual([]);
  });

  it.each(COMPILERS)('show no package that a project does not get along with ours, with %s', (compiler) => {
    expect(found.get(compiler)!.filter((error) => error.includes('error TS7016'))).toEqual([]);
  });

  it('let a project export its job classes with declarations of its own', async () => {
    expect(await project.check('typescript', '-p', 'tsconfig.declaration.json')).toEqual([]);
  });
});
