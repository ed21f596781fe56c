/** Labels and selectors of one namespace or many, indexed by single labels. */

export type Labels = Readonly<Record<string, string>>;

/** `namespace key=value`, one bucket of an index. */
export function labelKey(namespace: string, key: string, value: string): string {
  return `${namespace} ${key}=${value}`;
}

/** True when every label of the selector is there; an empty selector matches nothing, as in Services. */
export function matches(selector: Labels, labels: Labels): boolean {
  let any = false;
  for (const key in selector) {
    if (!Object.hasOwn(labels, key) || labels[key] !== selector[key]) return false;
    any = true;
  }
  return any;
}

/** Adds to a set in a map of sets. */
export function addTo<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

/** Removes from a set in a map of sets, and the set with its last value. */
export function removeFrom<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set === undefined) return;
  set.delete(value);
  if (set.size === 0) map.delete(key);
}
