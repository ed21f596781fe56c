/** Which Services select a Pod, without asking each. */

import { addTo, labelKey, matches, removeFrom, type Labels } from './labels.ts';

interface IndexedSelector {
  readonly key: string;
  readonly bucket: string;
  readonly selector: Labels;
}

export class SelectorIndex {
  readonly #entries = new Map<string, IndexedSelector>();
  /** By the first label of the selector: a Pod that matches has it. */
  readonly #buckets = new Map<string, Set<IndexedSelector>>();

  /** Adds or replaces the selector of a Service. */
  set(key: string, namespace: string, selector: Labels): void {
    if (this.#entries.get(key)?.selector === selector) return;
    this.delete(key);
    const label = Object.keys(selector).sort()[0];
    if (label === undefined) return;
    const entry = { key, selector, bucket: labelKey(namespace, label, selector[label] ?? '') };
    this.#entries.set(key, entry);
    addTo(this.#buckets, entry.bucket, entry);
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    removeFrom(this.#buckets, entry.bucket, entry);
  }

  /** Keys of the Services that select these labels. */
  *selecting(namespace: string, labels: Labels): Iterable<string> {
    if (this.#buckets.size === 0) return;
    for (const [key, value] of Object.entries(labels)) {
      for (const entry of this.#buckets.get(labelKey(namespace, key, value)) ?? []) {
        if (matches(entry.selector, labels)) yield entry.key;
      }
    }
  }
}
