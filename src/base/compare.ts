/** The order of texts wherever it must be the same on every machine. */

/** By UTF-16 units, unlike `localeCompare`. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
