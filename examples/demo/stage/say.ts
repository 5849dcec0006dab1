// Lines for people, no longer than the terminal is wide.
import { stripVTControlCharacters } from 'node:util';

/** Room for lines and tables. */
export const WIDTH = Math.min(100, (process.stdout.columns ?? 100) - 1);

export function say(text = ''): void {
  console.log(wrap(text));
}

/** Breaks lines at spaces, because a terminal breaks words. */
export function wrap(text: string): string {
  return text
    .split('\n')
    .map((line) => wrapLine(line))
    .join('\n');
}

function wrapLine(line: string): string {
  if (stripVTControlCharacters(line).length <= WIDTH) return line;
  const at = line.lastIndexOf(' ', WIDTH);
  const head = line.slice(0, Math.max(at, 0)).trimEnd();
  return head === '' ? line : `${head}\n${wrapLine(`    ${line.slice(at + 1)}`)}`;
}
