// Keeps the docs true: code in them is cut from files that run, and docs/reference.md is made from the tables in the
// code. `node scripts/docs.ts` writes; with `--check` it only says what is out of date, and ends with 1.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SETTING_NAMES, describeSetting } from '../src/app/settings.ts';
import { ERRORS } from '../src/domain/errors.ts';
import { MOVES, STATUSES, statusAfter, type JobEvent } from '../src/domain/lifecycle.ts';

const root = path.resolve(import.meta.dirname, '..');
const isCheck = process.argv.includes('--check');
const stale: string[] = [];

for (const file of globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root, exclude: ['node_modules'] })) {
  const text = readFileSync(path.join(root, file), 'utf8');
  write(file, text, withSnippets(text));
}
write('docs/reference.md', read('docs/reference.md'), reference());

if (stale.length > 0) {
  console.error(`Out of date: ${stale.join(', ')}. Run: npm run docs`);
  process.exit(1);
}
console.log(isCheck ? 'Docs: up to date.' : 'Docs: written.');

function write(file: string, before: string, after: string): void {
  if (before === after) return;
  if (isCheck) stale.push(file);
  else writeFileSync(path.join(root, file), after);
}

function read(file: string): string {
  try {
    return readFileSync(path.join(root, file), 'utf8');
  } catch {
    return '';
  }
}

/** `<!-- snippet: FILE#REGION -->` and the code block below it. */
function withSnippets(text: string): string {
  return text.replaceAll(
    /(<!-- snippet: (\S+?)#(\S+) -->\n)```(\w+)\n[\s\S]*?```/g,
    (_, marker: string, file: string, region: string, language: string) => {
      return `${marker}\`\`\`${language}\n${regionOf(file, region)}\n\`\`\``;
    },
  );
}

function regionOf(file: string, region: string): string {
  const lines = readFileSync(path.join(root, file), 'utf8').split('\n');
  const first = lines.findIndex((line) => line.trim() === `// #region ${region}`);
  const last = lines.findIndex((line, i) => i > first && line.trim() === '// #endregion');
  if (first === -1 || last === -1) throw new Error(`${file} has no region '${region}'`);
  return [`// ${path.relative('examples/quickstart', file)}`, ...lines.slice(first + 1, last)].join('\n').trimEnd();
}

function reference(): string {
  return `${[
    '# Reference',
    '<!-- Made by `npm run docs` from the tables in the code. -->',
    '## Lifecycle',
    'Which status an event leads to. What is empty is refused.',
    lifecycle(),
    '## Settings',
    'An option of the command line wins over the environment, that over the configuration, that over the default. Temporal’s own `TEMPORAL_*` variables and profile file work unchanged.',
    settings(),
    '## Errors',
    'Errors of this library are `AsyncJobError`s: match them by `code`. Codes are stored on the row (`error.code`) and are never renamed. `retryable`: the same call may succeed later without a change.',
    errors(),
  ].join('\n\n')}\n`;
}

function lifecycle(): string {
  const events = Object.keys(MOVES) as JobEvent[];
  return table(
    ['status', ...events],
    STATUSES.map((status) => [status, ...events.map((event) => statusAfter(status, event) ?? '')]),
  );
}

function settings(): string {
  return table(
    ['variable', 'what', 'default'],
    SETTING_NAMES.map((name) => {
      const { env, help, default: fallback } = describeSetting(name);
      return [`\`${env}\``, help, fallback];
    }),
  );
}

function errors(): string {
  return table(
    ['code', 'meaning', 'who acts', 'retryable'],
    Object.entries(ERRORS).map(([code, { meaning, fault, retryable }]) => [`\`${code}\``, meaning, fault, retryable ? 'yes' : 'no']),
  );
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
