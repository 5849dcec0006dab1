// "Did you mean …?" for misspelled names: options, settings, keys of a configuration.

/** The one of `names` that `name` was probably meant to be; `null` when none is near: `slips` is the share of letters that may be wrong. */
export function closestName(name: string, names: readonly string[], slips = 1 / 3): string | null {
  let best: { name: string; distance: number } | null = null;
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance <= candidate.length * slips && (!best || distance < best.distance)) best = { name: candidate, distance };
  }
  return best?.name ?? null;
}

/** A sentence about a name that does not exist: the likely one, else all there are. */
export function unknownName(name: string, names: readonly string[]): string {
  const closest = closestName(name, names);
  return closest ? `'${name}' is unknown; did you mean '${closest}'?` : `'${name}' is unknown; there are ${names.join(', ')}`;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      let best = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + cost);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) best = Math.min(best, beforeLast[column - 2]! + 1);
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
}
