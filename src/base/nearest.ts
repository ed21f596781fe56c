/** The name that somebody most likely meant. */

/** At most three of the names that differ from `wanted` by `limit` letters at most (default: a third of it), nearest first. */
export function nearest(
  wanted: string,
  names: Iterable<string>,
  limit = Math.max(2, Math.floor(wanted.length / 3)),
): readonly string[] {
  const found: { name: string; distance: number }[] = [];
  for (const name of names) {
    if (Math.abs(name.length - wanted.length) > limit) continue;
    const distance = editDistance(wanted, name);
    if (distance <= limit) found.push({ name, distance });
  }
  found.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  return found.slice(0, 3).map((entry) => entry.name);
}

/** `; did you mean "web.shop"?`, or '' when nothing is near. */
export function didYouMean(wanted: string, names: Iterable<string>): string {
  const quoted = nearest(wanted, names).map((name) => `"${name}"`);
  return quoted.length === 0 ? '' : `; did you mean ${quoted.join(' or ')}?`;
}

/** Levenshtein distance: letters added, removed or replaced. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
