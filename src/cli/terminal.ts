// How a command writes for people: within the width of the terminal, with colours only where they are wanted (NO_COLOR,
// FORCE_COLOR, a terminal), and so that every line says the same without them.
import { styleText } from 'node:util';

export type Paint = (style: 'good' | 'bad' | 'odd' | 'strong' | 'faint', text: string) => string;

export interface Screen {
  /** Columns; lines are broken there. */
  width: number;
  /** Whether somebody looks at it. When not, nothing is cut off. */
  isTerminal: boolean;
  paint: Paint;
}

/** Wider lines are hard to read, whatever the terminal. */
const WIDTH_MAX = 100;
const WIDTH_DEFAULT = 80;

/** Colours that are legible on light and dark backgrounds alike. */
const STYLES = { good: 'green', bad: ['bold', 'red'], odd: ['bold', 'magenta'], strong: 'bold', faint: 'dim' } as const;

export function screenOf(stream: NodeJS.WriteStream): Screen {
  return {
    width: Math.min(stream.columns || WIDTH_DEFAULT, WIDTH_MAX),
    isTerminal: stream.isTTY,
    paint: (style, text) => styleText(STYLES[style] as Parameters<typeof styleText>[0], text, { stream }),
  };
}

/** For output without colours. */
export const plain: Paint = (_style, text) => text;

/**
 * Breaks plain text into lines of at most `width`, between words; a longer word has a line of its own. Spaces at its
 * beginning stay, and the lines after the first are indented by `hanging` more.
 */
export function wrap(text: string, width: number, hanging = 0): string[] {
  const indent = /^ */.exec(text)![0];
  const lines: string[] = [];
  let line = indent;
  for (const word of text.slice(indent.length).split(' ')) {
    const isFirst = line.trim() === '';
    if (!isFirst && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent + ' '.repeat(hanging) + word;
    } else line += isFirst ? word : ` ${word}`;
  }
  return [...lines, line];
}
