// Where the TypeScript compiler puts its output: a copy of every handlers module that discovery must not load besides
// its source.
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** The absolute `outDir` of each tsconfig*.json in the nearest folder, upwards from `folder`, that has one. */
export async function buildFoldersOf(folder: string): Promise<string[]> {
  for (let place = folder; ; place = dirname(place)) {
    const names = await readdir(place).catch((): string[] => []);
    const configs = names.filter((name) => /^tsconfig(\..+)?\.json$/.test(name));
    if (configs.length > 0) {
      const folders = await Promise.all(configs.map((name) => outDirOf(join(place, name))));
      return [...new Set(folders.filter((found) => found !== null))];
    }
    if (names.includes('package.json') || place === dirname(place)) return [];
  }
}

async function outDirOf(file: string): Promise<string | null> {
  try {
    const config = JSON.parse(withoutComments(await readFile(file, 'utf8'))) as { compilerOptions?: { outDir?: unknown } };
    const outDir = config.compilerOptions?.outDir;
    if (typeof outDir !== 'string') return null;
    return resolve(dirname(file), outDir.replace('${configDir}', '.'));
  } catch {
    return null; // a tsconfig.json that cannot be read is the compiler's business
  }
}

// Strings are matched first and kept, so that '/*' in a path pattern opens no comment.
function withoutComments(text: string): string {
  return text
    .replace(/^\uFEFF/, '')
    .replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, string?: string) => string ?? '')
    .replace(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, (_, string?: string) => string ?? '');
}
