import { relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { discoverHandlers, findHandlerModules, type HandlerModules } from '../../../src/handlers/discover.ts';
import { runNode } from '../support/run-node.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function found(paths: string[], options: Partial<HandlerModules> & { tsconfig?: string; below?: string } = {}): Promise<string[]> {
  const { tsconfig, below = '', ...rest } = options;
  const files: Record<string, string> = Object.fromEntries(paths.map((path) => [path, '']));
  if (tsconfig !== undefined) files['tsconfig.json'] = tsconfig;
  const root = await temporaryFolder(files);
  const folder = below ? `${root}/${below}` : root;
  return (await findHandlerModules({ folder, extension: 'ts', ...rest })).map((file) => relative(folder, file));
}

describe('findHandlerModules', () => {
  it('finds handlers.*, *.handlers.* and everything in a folder handlers/, in the order of their names', async () => {
    const paths = ['a/handlers.ts', 'billing.handlers.ts', 'handlers.ts', 'handlers/mail.ts', 'handlers/x/y.ts', 'src/jobs/handlers/z.ts'];
    expect(await found(paths.toReversed())).toEqual(paths);
  });

  it('finds only the extension of the configuration file', async () => {
    const paths = ['handlers.ts', 'handlers.js', 'handlers.mts', 'handlers/a.js', 'handlers/a.json'];
    expect(await found(paths)).toEqual(['handlers.ts']);
    expect(await found(paths, { extension: 'js' })).toEqual(['handlers.js', 'handlers/a.js']);
  });

  it.each([
    'myhandlers.ts',
    'handlers.d.ts',
    'handlers/a.d.ts',
    'handlers/a.test.ts',
    'handlers/a.spec.ts',
    'a.test.handlers.ts',
    'test/handlers.ts',
    'src/tests/handlers.ts',
    'src/__tests__/handlers.ts',
    'handlers/__mocks__/a.ts',
    'mocks/handlers.ts',
    'node_modules/library/handlers.ts',
    'packages/a/node_modules/library/handlers/a.ts',
    'dist/handlers.ts',
    'packages/a/dist/handlers.ts',
    '.cache/handlers.ts',
  ])('does not take %s', async (path) => {
    expect(await found([path])).toEqual([]);
  });

  it('does not take the output of the compiler', async () => {
    const tsconfig = `{
      // where it goes
      "include": ["src/**/*.ts"], /* "outDir": "src", */
      "compilerOptions": { "outDir": "./build/js", },
    }`;
    expect(await found(['build/js/handlers.js', 'build/handlers.js', 'src/handlers.js'], { tsconfig, extension: 'js' })).toEqual([
      'build/handlers.js',
      'src/handlers.js',
    ]);
  });

  it('looks for the tsconfig.json above, up to the package', async () => {
    const tsconfig = '{ "compilerOptions": { "outDir": "app/out" } }';
    expect(await found(['app/out/handlers.js', 'app/src/handlers.js'], { tsconfig, below: 'app', extension: 'js' })).toEqual([
      'src/handlers.js',
    ]);
  });

  it.each(['{ "compilerOptions": { "outDir": "dist" } }', '{ "compilerOptions": { "outDir": "." } }', 'not JSON'])(
    'takes what was built when the configuration was, too (%s)',
    async (tsconfig) => {
      expect(await found(['dist/jobs/handlers.js'], { tsconfig, below: 'dist', extension: 'js' })).toEqual(['jobs/handlers.js']);
    },
  );

  it('takes patterns of the application instead', async () => {
    const paths = ['handlers.ts', 'a.jobs.ts', 'b/c.jobs.ts', 'd.jobs.js'];
    expect(await found(paths, { patterns: ['./**/*.jobs.EXT'] })).toEqual(['a.jobs.ts', 'b/c.jobs.ts']);
  });

  it('takes a folder that a pattern names', async () => {
    const tsconfig = '{ "compilerOptions": { "outDir": "out/js" } }';
    const paths = ['dist/handlers.js', 'test/handlers.js', 'out/js/handlers.js', 'node_modules/a/handlers.js'];
    expect(await found(paths, { tsconfig, extension: 'js', patterns: ['dist/**/handlers.js'] })).toEqual(['dist/handlers.js']);
    expect(await found(paths, { tsconfig, extension: 'js', patterns: ['out/js/**/*.js'] })).toEqual(['out/js/handlers.js']);
    expect(await found(paths, { tsconfig, extension: 'js', patterns: ['test/handlers.js', 'node_modules/**/*.js'] })).toEqual([
      'test/handlers.js',
    ]);
  });

  it('leaves out what it was told to', async () => {
    expect(await found(['handlers.ts', 'old/handlers.ts'], { ignore: ['old/**'] })).toEqual(['handlers.ts']);
  });
});

describe('discoverHandlers', () => {
  it('imports every module, one after the other, and returns the files', async () => {
    const note = (name: string) =>
      `(globalThis.discovered ??= []).push('${name} starts'); await new Promise(setImmediate); globalThis.discovered.push('${name} ends');`;
    const folder = await temporaryFolder({ 'b.handlers.js': note('b'), 'a.handlers.js': note('a') });
    expect(await discoverHandlers({ folder, extension: 'js' })).toEqual([`${folder}/a.handlers.js`, `${folder}/b.handlers.js`]);
    expect((globalThis as { discovered?: string[] }).discovered).toEqual(['a starts', 'a ends', 'b starts', 'b ends']);
  });

  it('names every module that threw, with the cause', async () => {
    const folder = await temporaryFolder({
      'a.handlers.js': "throw new TypeError('first');",
      'b.handlers.js': '',
      'c.handlers.js': "throw new Error('second');",
    });
    await expect(discoverHandlers({ folder, extension: 'js' })).rejects.toMatchObject({
      code: 'handler.load_failed',
      message: [
        `handler.load_failed: 2 of 3 handlers modules in ${folder} could not be loaded:`,
        '  a.handlers.js: TypeError: first',
        '  c.handlers.js: Error: second',
      ].join('\n'),
      cause: { errors: [expect.objectContaining({ message: 'first' }), expect.objectContaining({ message: 'second' })] },
    });
  });

  it('keeps the only error as the cause', async () => {
    const folder = await temporaryFolder({ 'handlers.js': "throw new TypeError('first');" });
    await expect(discoverHandlers({ folder, extension: 'js' })).rejects.toMatchObject({
      cause: expect.objectContaining({ name: 'TypeError', message: 'first' }),
    });
  });

  it('gives advice for a decorator that Node cannot strip', async () => {
    const folder = await temporaryFolder({
      'handlers.ts': "import './customer.ts';",
      'customer.ts': 'const entity = (c: unknown) => c;\n@entity\nexport class Customer {}',
    });
    const message = await runNode(`
      import { discoverHandlers } from './src/handlers/discover.ts';
      await discoverHandlers({ folder: ${JSON.stringify(folder)}, extension: 'ts' }).catch((error) => console.log(error.message));`);
    expect(message).toContain('handlers.ts: SyntaxError: ');
    expect(message).toContain("load tsx: NODE_OPTIONS='--import tsx'");
  });
});
