import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/app/load-config.ts';
import { runNode } from '../support/run-node.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const CONFIG = "export default { name: 'shop', orm: {} };";

describe('loadConfig', () => {
  it.each(['ts', 'mts', 'js', 'mjs'])('finds asyncjob.config.%s in the current folder', async (extension) => {
    const cwd = await temporaryFolder({ [`asyncjob.config.${extension}`]: CONFIG });
    expect(await loadConfig({ cwd })).toEqual({
      config: { name: 'shop', orm: {} },
      file: `${cwd}/asyncjob.config.${extension}`,
      folder: cwd,
      extension,
    });
  });

  it('prefers TypeScript', async () => {
    const cwd = await temporaryFolder({ 'asyncjob.config.js': CONFIG, 'asyncjob.config.ts': CONFIG });
    expect((await loadConfig({ cwd })).extension).toBe('ts');
  });

  it.each(['apps/shop.ts', 'apps'])('takes %s, relative to the current folder', async (file) => {
    const cwd = await temporaryFolder({ 'apps/shop.ts': CONFIG, 'apps/asyncjob.config.ts': CONFIG });
    expect((await loadConfig({ file, cwd })).folder).toBe(`${cwd}/apps`);
  });

  it.each([
    ['export const config = { orm: {} };', 'a named export'],
    ["Object.defineProperty(exports, '__esModule', { value: true }); exports.default = { orm: {} };", 'compiled CommonJS'],
  ])('takes %s', async (text) => {
    const cwd = await temporaryFolder({
      'asyncjob.config.js': text,
      'package.json': text.startsWith('export') ? '{ "type": "module" }' : '{ "type": "commonjs" }',
    });
    expect((await loadConfig({ cwd })).config).toEqual({ orm: {} });
  });

  it('lists what it looked for', async () => {
    const cwd = await temporaryFolder({});
    await expect(loadConfig({ cwd })).rejects.toMatchObject({
      code: 'config.not_found',
      message: expect.stringContaining(
        `${cwd} has none of asyncjob.config.ts, asyncjob.config.mts, asyncjob.config.js, asyncjob.config.mjs.`,
      ),
    });
  });

  it('names a file that does not exist', async () => {
    const cwd = await temporaryFolder({ 'asyncjob.config.ts': CONFIG });
    await expect(loadConfig({ file: 'other.ts', cwd })).rejects.toMatchObject({
      code: 'config.not_found',
      message: expect.stringContaining(`${cwd}/other.ts does not exist`),
    });
  });

  it('refuses a file that is no module', async () => {
    const cwd = await temporaryFolder({ 'asyncjob.json': '{}' });
    await expect(loadConfig({ file: 'asyncjob.json', cwd })).rejects.toMatchObject({ code: 'config.invalid' });
  });

  it.each([
    ['export const nothing = 1;', 'exports nothing, but no configuration'],
    ["export default 'shop';", 'exports default, but no configuration'],
    ['export {};', 'exports nothing, but no configuration'],
  ])('refuses %s', async (text, message) => {
    const cwd = await temporaryFolder({ 'asyncjob.config.ts': text });
    await expect(loadConfig({ cwd })).rejects.toMatchObject({ code: 'config.invalid', message: expect.stringContaining(message) });
  });

  it('checks what was exported without defineConfig()', async () => {
    const cwd = await temporaryFolder({ 'asyncjob.config.ts': 'export default { orm: {}, handler: [] };' });
    await expect(loadConfig({ cwd })).rejects.toMatchObject({
      code: 'settings.invalid',
      message: expect.stringContaining("did you mean 'handlers'?"),
    });
  });

  it('keeps what the file threw as the cause', async () => {
    const cwd = await temporaryFolder({ 'asyncjob.config.ts': "throw new TypeError('no secret set');" });
    await expect(loadConfig({ cwd })).rejects.toMatchObject({
      code: 'config.load_failed',
      message: expect.stringContaining(`${cwd}/asyncjob.config.ts\n  TypeError: no secret set`),
      cause: expect.objectContaining({ message: 'no secret set' }),
    });
  });
});

describe('under Node itself', () => {
  const load = (cwd: string) =>
    runNode(`
      import { loadConfig } from './src/app/load-config.ts';
      await loadConfig({ cwd: ${JSON.stringify(cwd)} }).catch((error) => console.log(error.message));`);

  it.each([
    [
      'a decorator',
      'const entity = (c: unknown) => c;\n@entity\nexport class Customer {}\nexport default { orm: {} };',
      /stripping types: decorators, .*NODE_OPTIONS='--import tsx'/s,
    ],
    ['an enum', 'export enum Kind { A }\nexport default { orm: {} };', /stripping types: decorators, enums/],
    ['a type imported as a value', "import { Customer } from './customer.ts';\nexport default { orm: {} };", /import it by `import type`/],
    [
      'an import of the file that a build would make',
      "import { x } from './customer.js';\nexport default { orm: {} };",
      /customer\.ts: write the extension \.ts/,
    ],
    [
      'an import without extension',
      "import { x } from './customer';\nexport default { orm: {} };",
      /customer\.ts: write the extension \.ts/,
    ],
  ])('gives advice for %s', async (_, text, advice) => {
    const cwd = await temporaryFolder({ 'asyncjob.config.ts': text, 'customer.ts': 'export interface Customer {}\nexport const x = 1;' });
    const message = await load(cwd);
    expect(message).toContain(`config.load_failed: ${cwd}/asyncjob.config.ts`);
    expect(message).toMatch(advice);
  });

  it('gives no such advice for a plain slip', async () => {
    const cwd = await temporaryFolder({ 'asyncjob.config.ts': 'export default { orm: ;' });
    expect(await load(cwd)).not.toMatch(/tsx/);
  });
});
