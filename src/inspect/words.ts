// Numbers and lists as people read them.

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** `340 ms`, `12 s`, `2 min 5 s`, `3 h 4 min`, `12 d`: two units at most. */
export function timeSpan(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < 1_000) return `${whole} ms`;
  // To whole seconds first, so that 59.9 s is a minute and not 60 s.
  const rounded = Math.round(whole / 1_000) * 1_000;
  const first = UNITS.findIndex(([, size]) => rounded >= size);
  const [name, size] = UNITS[first]!;
  const next = UNITS[first + 1];
  const rest = next ? Math.floor((rounded % size) / next[1]) : 0;
  const large = Math.floor(rounded / size);
  return rest === 0 || (name === 'd' && large > 9) ? `${large} ${name}` : `${large} ${name} ${rest} ${next![0]}`;
}

/** `1 job`, `3 jobs`, `1 copy`, `2 copies`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}

/** `a, b, c`, or `a, b and 3 more`. */
export function list(items: readonly string[], most = 6): string {
  if (items.length <= most) return items.join(', ');
  return `${items.slice(0, most - 1).join(', ')} and ${items.length - most + 1} more`;
}
