// A table of text, without frames: as wide as the terminal allows and no wider.
import { styleText } from 'node:util';
import Table from 'cli-table3';
import { WIDTH } from './say.ts';

const GAP = 2;
const NO_FRAME = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) => ['', '-mid', '-left', '-right'].map((corner) => [`${side}${corner}`, ''])),
);

/** `columns`: their names and widths; `'rest'` is what the others leave. */
export function table(columns: Record<string, number | 'rest'>, rows: string[][]): string {
  const widths = Object.values(columns);
  const taken = widths.reduce<number>((sum, width) => sum + (width === 'rest' ? 0 : width + GAP), 0);
  const drawn = new Table({
    head: Object.keys(columns).map((name) => styleText('bold', name)),
    colWidths: widths.map((width) => (width === 'rest' ? Math.max(10, WIDTH - taken) : width + GAP)),
    chars: { ...NO_FRAME, middle: '' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
  });
  drawn.push(...rows);
  return drawn.toString().replaceAll(/ +$/gm, '');
}
