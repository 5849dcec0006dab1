// Finds the modules that register handlers, by the names of their files, and imports them.
import { relative, sep } from 'node:path';
import { escapePath, glob } from 'tinyglobby';
import { AsyncJobError } from '../domain/errors.ts';
import { buildFoldersOf } from './build-folders.ts';
import { describeImportError, importModule } from './import-module.ts';

/** `EXT` at the end of a pattern stands for the extension of the configuration file. */
export const HANDLER_PATTERNS = ['**/handlers.EXT', '**/*.handlers.EXT', '**/handlers/**/*.EXT'];

const FOLDERS_IGNORED = ['dist', 'test', 'tests', '__tests__', 'mocks', '__mocks__'];
const FILES_IGNORED = ['**/*.test.*', '**/*.spec.*', '**/*.d.{ts,mts,cts}'];

export interface HandlerModules {
  /** Absolute: the folder of the configuration file. */
  folder: string;
  /** That file's extension, without the dot. */
  extension: string;
  patterns?: readonly string[] | undefined;
  /** Further glob patterns of what is not loaded. */
  ignore?: readonly string[] | undefined;
}

/**
 * Imports every handlers module, one after the other in the order of their names, and returns their absolute paths.
 *
 * @throws AsyncJobError `handler.load_failed`, once all were tried, naming each that threw
 */
export async function discoverHandlers(modules: HandlerModules): Promise<string[]> {
  const files = await findHandlerModules(modules);
  const failed: { file: string; error: unknown }[] = [];
  for (const file of files) {
    try {
      await importModule(file);
    } catch (error) {
      failed.push({ file, error });
    }
  }
  if (failed.length === 0) return files;
  const lines = failed.map(({ file, error }) => `  ${relative(modules.folder, file)}: ${describeImportError(file, error)}`);
  const cause =
    failed.length === 1
      ? failed[0]!.error
      : new AggregateError(
          failed.map(({ error }) => error),
          'handlers modules threw',
        );
  throw new AsyncJobError(
    'handler.load_failed',
    `${failed.length} of ${files.length} handlers modules in ${modules.folder} could not be loaded:\n${lines.join('\n')}`,
    { cause },
  );
}

/** The files that `discoverHandlers` imports. */
export async function findHandlerModules({
  folder,
  extension,
  patterns = HANDLER_PATTERNS,
  ignore = [],
}: HandlerModules): Promise<string[]> {
  const globs = patterns.map((pattern) => pattern.replace(/^\.\//, '').replace(/\bEXT$/, extension));
  // A folder that a pattern names is wanted: ['dist/**/handlers.js'] loads what was built.
  const named = new Set(globs.flatMap((pattern) => pattern.split('/')));
  const folders = FOLDERS_IGNORED.filter((name) => !named.has(name)).map((name) => `**/${name}/**`);
  const built = (await buildFoldersOf(folder))
    .map((outDir) => relative(folder, outDir).split(sep).join('/'))
    // The folder itself, or one above it: then the configuration was built, too, and its handlers are the built ones.
    .filter((outDir) => /^(?!\.\.(\/|$))./.test(outDir) && !globs.some((pattern) => pattern.startsWith(`${outDir}/`)))
    .map((outDir) => `${escapePath(outDir)}/**`);
  const found = await glob(globs, {
    cwd: folder,
    absolute: true,
    expandDirectories: false,
    ignore: ['**/node_modules/**', ...folders, ...built, ...FILES_IGNORED, ...ignore],
  });
  return found.sort();
}
