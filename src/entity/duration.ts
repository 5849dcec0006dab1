// Durations as people write them. Public options take a Duration, everything inside takes whole milliseconds.
import { format, parse } from '@lukeed/ms';
import { AsyncJobError } from '../domain/errors.ts';
import { shown } from './invalid-settings.ts';

/** A time span: milliseconds as a number, or text with a unit: `'30 seconds'`, `'5 minutes'`, `'250ms'`, `'1h'`. */
export type Duration =
  | number
  | `${number} ${'second' | 'seconds' | 'minute' | 'minutes' | 'hour' | 'hours' | 'day' | 'days'}`
  | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

// Whatever is longer was a slip of the pen; and dates, PostgreSQL and Temporal all still take it.
const DURATION_MAX_MS = 100 * 365.25 * 86_400_000;

/**
 * A duration in whole milliseconds. `name` is what the error calls it.
 *
 * Text needs a unit: whether a bare `'30'` means seconds or milliseconds is anybody's guess.
 *
 * @throws AsyncJobError `settings.invalid`
 */
export function toMilliseconds(value: number | string, name: string): number {
  const problem = problemOfDuration(value);
  if (problem) throw new AsyncJobError('settings.invalid', `${name}: ${problem}`);
  return Math.round(millisecondsIn(value));
}

/** What is wrong with a duration, shorter than `minimumMs` included; undefined when nothing is. */
export function problemOfDuration(value: unknown, minimumMs = 0): string | undefined {
  const milliseconds = millisecondsIn(value);
  if (Number.isNaN(milliseconds)) {
    const hint = typeof value === 'string' && /^\s*\d+\s*$/.test(value) ? ' (the unit is missing)' : '';
    return `${shown(value)} is no duration${hint}: give milliseconds as a number, or text like '30 seconds', '5 minutes', '250ms', '1h'`;
  }
  if (milliseconds < 0) return `${shown(value)} is negative`;
  if (milliseconds < minimumMs) return `${shown(value)} is less than ${format(minimumMs)}`;
  if (milliseconds > DURATION_MAX_MS) return `${shown(value)} is longer than 100 years`;
  return undefined;
}

function millisecondsIn(value: unknown): number {
  if (typeof value === 'number') return value;
  const text = typeof value === 'string' ? value.trim() : '';
  if (text === '0') return 0; // in every unit
  if (!/[a-z]$/i.test(text)) return Number.NaN;
  // The parser answers zero like nonsense, with undefined: ask it about the unit alone.
  return parse(text) ?? (parse(text.replace(/^0*\.?0+(?=\D)/, '1')) === undefined ? Number.NaN : 0);
}
