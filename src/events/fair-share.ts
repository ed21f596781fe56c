/**
 * How many of a bounded number of places each may have at most, so that who wants many leaves no one else without: all who want less
 * get what they want, and the others the same number each. Infinity when there is enough for all.
 */
export function fairShare(wanted: readonly number[], places: number): number {
  let left = places;
  for (const [index, count] of wanted.toSorted((a, b) => a - b).entries()) {
    const share = Math.floor(left / (wanted.length - index));
    if (count > share) return share;
    left -= count;
  }
  return Infinity;
}
