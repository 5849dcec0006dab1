// Finds and imports the configuration file of an application.
import { stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { AsyncJobError } from '../domain/errors.ts';
import { describeImportError, importModule } from '../handlers/import-module.ts';
import { defineConfig, type Config } from './config.ts';

const BASENAME = 'asyncjob.config';
const EXTENSIONS = ['ts', 'mts', 'js', 'mjs'];
const EXTENSIONS_TAKEN = [...EXTENSIONS, 'cts', 'cjs'];

export interface LoadedConfig {
  config: Config;
  /** Absolute. */
  file: string;
  /** Below it handlers are discovered. */
  folder: string;
  /** Of the file, without the dot: handlers have it, too. */
  extension: string;
}

/**
 * Imports `file` (a folder means the configuration in it), or the configuration in `cwd`. Its default export counts, else
 * one named `config`.
 *
 * @throws AsyncJobError `config.not_found`, `config.load_failed`, `config.invalid`, `settings.invalid`
 */
export async function loadConfig({ file, cwd }: { file?: string | undefined; cwd: string }): Promise<LoadedConfig> {
  const found = await findConfig(file, cwd);
  const config = configIn(found, await importConfig(found));
  return { config: defineConfig(config), file: found, folder: dirname(found), extension: extname(found).slice(1) };
}

/** Where handlers belong to the configuration that lies in `cwd`; `null` when none does. */
export async function configPlace(cwd: string): Promise<Pick<LoadedConfig, 'folder' | 'extension'> | null> {
  for (const extension of EXTENSIONS) {
    if ((await kindOf(join(cwd, `${BASENAME}.${extension}`))) === 'file') return { folder: cwd, extension };
  }
  return null;
}

async function findConfig(file: string | undefined, cwd: string): Promise<string> {
  const place = resolve(cwd, file ?? '.');
  const kind = await kindOf(place);
  if (kind === 'file') {
    if (EXTENSIONS_TAKEN.includes(extname(place).slice(1))) return place;
    throw new AsyncJobError(
      'config.invalid',
      `${place} is no module: the configuration file ends in ${EXTENSIONS_TAKEN.map((extension) => `.${extension}`).join(', ')}.`,
    );
  }
  const candidates = EXTENSIONS.map((extension) => join(place, `${BASENAME}.${extension}`));
  if (kind === 'folder') {
    for (const candidate of candidates) if ((await kindOf(candidate)) === 'file') return candidate;
  }
  const looked =
    kind === 'folder' ? `${place} has none of ${candidates.map((candidate) => basename(candidate)).join(', ')}` : `${place} does not exist`;
  throw new AsyncJobError(
    'config.not_found',
    `${looked}. Start in the folder of the application, or name its file: --app FILE (or ASYNCJOB_APP).`,
  );
}

async function kindOf(path: string): Promise<'file' | 'folder' | null> {
  const stats = await stat(path).catch(() => null);
  if (stats?.isFile()) return 'file';
  return stats?.isDirectory() ? 'folder' : null;
}

async function importConfig(file: string): Promise<Record<string, unknown>> {
  try {
    return await importModule(file);
  } catch (error) {
    if (error instanceof AsyncJobError) throw error; // defineConfig() said what is wrong
    throw new AsyncJobError('config.load_failed', `${file}\n  ${describeImportError(file, error)}`, { cause: error });
  }
}

function configIn(file: string, module: Record<string, unknown>): Config {
  let config = module['default'] ?? module['config'];
  // A module compiled to CommonJS: its exports are the default, and its default is inside.
  if (isRecord(config) && config['__esModule'] === true) config = config['default'] ?? config['config'];
  if (isRecord(config)) return config as unknown as Config;
  const exported = Object.keys(module);
  const has = exported.length === 0 ? 'nothing' : exported.join(', ');
  throw new AsyncJobError('config.invalid', `${file} exports ${has}, but no configuration. Write: export default defineConfig({ orm: … })`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
