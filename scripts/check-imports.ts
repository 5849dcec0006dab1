// Who may import whom (ARCHITECTURE.md), checked against the imports in the sources.
// `node scripts/check-imports.ts` prints each import that is off the map and ends with 1 when there is one.
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

interface Rule {
  /** Own folders it may import besides itself; `*` for all. */
  folders: string[];
  /** npm packages; `scope/*` for a scope, `node` for Node's own modules, `*` for all but Temporal's, which are always named. */
  packages: string[];
  /** Packages it may import types of. */
  types?: string[];
  /** Own folders it may load with `import()` only. */
  lazy?: string[];
}

const TEMPORAL_CLIENT = ['@temporalio/client', '@temporalio/common', '@temporalio/envconfig'];
const WIRED = ['src/domain', 'src/entity', 'src/handlers', 'src/mirror', 'src/enqueue', 'src/temporal', 'src/relay', 'src/app'];

export const IMPORT_MAP: Record<string, Rule> = {
  'src/domain': { folders: [], packages: [] },
  'src/entity': { folders: ['src/domain'], packages: ['node', '@mikro-orm/*', '@lukeed/ms'] },
  'src/handlers': { folders: ['src/domain', 'src/entity'], packages: ['node', '@mikro-orm/*', 'pino', 'tinyglobby'] },
  'src/mirror': { folders: ['src/domain'], packages: ['node', 'pg', '@mikro-orm/*'] },
  // Its writes join the caller's transaction, but every statement stands in the mirror.
  'src/enqueue': { folders: ['src/domain', 'src/entity', 'src/mirror'], packages: ['node', '@mikro-orm/*'] },
  'src/temporal': { folders: ['src/domain'], packages: ['node', ...TEMPORAL_CLIENT] },
  'src/lanes': { folders: ['src/domain'], packages: ['node'] },
  'src/relay': { folders: ['src/domain'], packages: ['node'] },
  'src/worker': { folders: ['*'], packages: ['*', '@temporalio/*'] },
  'src/app': { folders: WIRED, packages: ['*'], types: ['@temporalio/client'], lazy: ['src/worker'] },
  'src/inspect': { folders: WIRED.concat('src/version.ts'), packages: ['node', 'pg', '@mikro-orm/*'] },
  'src/cli': { folders: ['*'], packages: ['*'] },
  'src/dev': { folders: ['src/domain'], packages: ['node'] },
  'src/testing': { folders: ['*'], packages: ['*'] },
  'src/version.ts': { folders: [], packages: ['node'] },
  'src/index.ts': { folders: WIRED, packages: ['*'] },
  workflows: { folders: ['src/domain'], packages: ['@temporalio/workflow'] },
  activities: {
    folders: ['src/domain', 'src/handlers'],
    packages: ['node', '@temporalio/activity', '@temporalio/common'],
    types: ['@temporalio/worker'],
  },
};

/** The door that everybody imports, and what it must not load: Temporal's native core. */
const LIGHT_DOOR = 'src/index.ts';
const HEAVY = ['@temporalio/worker', '@temporalio/core-bridge'];

export interface Import {
  line: number;
  specifier: string;
  kind: 'static' | 'type' | 'dynamic';
}

/** `file:line imports X: why not`, for each import that is off the map. */
export function checkImports(root: string): string[] {
  const files = new Map<string, Import[]>();
  for (const file of globSync('{src,workflows,activities}/**/*.ts', { cwd: root })) {
    files.set(file.split(path.sep).join('/'), readImports(readFileSync(path.join(root, file), 'utf8')));
  }
  const problems: string[] = [];
  for (const [file, imports] of files) {
    for (const found of imports) {
      const why = objection(file, found);
      if (why !== null) problems.push(`${file}:${found.line} imports ${found.specifier}: ${why}`);
    }
  }
  return [...problems, ...walkDoor(files)].toSorted();
}

function objection(file: string, { specifier, kind }: Import): string | null {
  const folder = folderOf(file);
  const rule = IMPORT_MAP[folder];
  if (rule === undefined) return `${folder} is not on the map (scripts/check-imports.ts)`;
  if (specifier.startsWith('.')) {
    const target = folderOf(resolve(file, specifier));
    if (target === folder || rule.folders.includes(target) || rule.folders.includes('*')) return null;
    if (rule.lazy?.includes(target)) return kind === 'static' ? `${folder} may load ${target} with import() only` : null;
    return `${folder} may not import ${target}`;
  }
  const name = packageOf(specifier);
  const allowed = kind === 'type' ? [...rule.packages, ...(rule.types ?? [])] : rule.packages;
  if (allowed.some((entry) => matches(entry, name))) return null;
  return rule.types?.includes(name) ? `${folder} may import only types of ${name}` : `${folder} may not import ${name}`;
}

function matches(entry: string, name: string): boolean {
  if (entry === '*') return !name.startsWith('@temporalio/');
  return entry.endsWith('/*') ? name.startsWith(entry.slice(0, -1)) : entry === name;
}

/** The ways on which the light door loads the heavy packages at once, by value imports of our own files. */
function walkDoor(files: ReadonlyMap<string, Import[]>): string[] {
  const problems: string[] = [];
  const seen = new Set<string>([LIGHT_DOOR]);
  const ways = [[LIGHT_DOOR]];
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    const file = way.at(-1)!;
    for (const { line, specifier, kind } of files.get(file) ?? []) {
      if (kind !== 'static') continue;
      if (HEAVY.includes(packageOf(specifier)))
        problems.push(`${file}:${line} imports ${specifier}: ${LIGHT_DOOR} may not load it (${way.join(' → ')})`);
      const target = specifier.startsWith('.') ? resolve(file, specifier) : null;
      if (target === null || seen.has(target)) continue;
      seen.add(target);
      ways.push([...way, target]);
    }
  }
  return problems;
}

function resolve(file: string, specifier: string): string {
  return path.posix.join(path.posix.dirname(file), specifier);
}

/** `src/domain/errors.ts` → `src/domain`; a file directly in `src` stands for itself. */
function folderOf(file: string): string {
  const parts = file.split('/');
  return parts[0] === 'src' ? parts.slice(0, 2).join('/') : parts[0]!;
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return 'node';
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

const STATEMENT = /^[ \t]*(?:import|export)\b(?<type>\s+type\b(?!\s+from\b))?(?:[^'";()=]*?\bfrom)?\s*['"](?<specifier>[^'"\n]+)['"]/gm;
const CALL = /(?<type>\btypeof\s+)?\bimport\s*\(\s*['"](?<specifier>[^'"\n]+)['"]/g;

/** Every import, export-from and import() of a source text. `import { type A }` counts as a value import: Node loads the module. */
export function readImports(source: string): Import[] {
  const code = withoutComments(source);
  const imports: Import[] = [];
  for (const [pattern, kind] of [
    [STATEMENT, 'static'],
    [CALL, 'dynamic'],
  ] as const) {
    for (const match of code.matchAll(pattern)) {
      const { type, specifier } = match.groups!;
      const at = match.index + match[0].search(/\S/);
      imports.push({ line: code.slice(0, at).split('\n').length, specifier: specifier!, kind: type === undefined ? kind : 'type' });
    }
  }
  return imports.toSorted((a, b) => a.line - b.line);
}

// Comments and template texts become blanks of the same lines; strings stay. Whichever begins first wins, so `'//'` is a string.
function withoutComments(source: string): string {
  return source.replace(/\/\/[^\n]*|\/\*[^]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g, (text) =>
    /^['"]/.test(text) ? text : text.replace(/[^\n]/g, ' '),
  );
}

if (import.meta.main) {
  const problems = checkImports(path.resolve(import.meta.dirname, '..'));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log('Imports: all on the map.');
}
