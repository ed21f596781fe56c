/** The Pods as last seen, and which of them a selector matches, without asking each. */

import type { PodObject } from '../../kube/kind/pod.ts';
import { addTo, labelKey, matches, removeFrom, type Labels } from './labels.ts';

export class PodIndex {
  readonly #namespaces = new Map<string, Map<string, PodObject>>();
  readonly #byLabel = new Map<string, Set<PodObject>>();
  /** Namespaces whose labels are indexed: where EndpointSlices say it all, none is. */
  readonly #labelled = new Set<string>();

  get(namespace: string, name: string): PodObject | undefined {
    return this.#namespaces.get(namespace)?.get(name);
  }

  /** Adds, replaces or (undefined) removes a Pod. */
  set(namespace: string, name: string, pod: PodObject | undefined): void {
    const old = this.get(namespace, name);
    const labelled = this.#labelled.has(namespace);
    if (old !== undefined && labelled) this.#unlabel(old);
    if (pod === undefined) {
      this.#namespaces.get(namespace)?.delete(name);
      return;
    }
    const pods = this.#namespaces.get(namespace) ?? new Map<string, PodObject>();
    this.#namespaces.set(namespace, pods.set(name, pod));
    if (labelled) this.#label(pod);
  }

  /** The Pods of the namespace that a selector matches, in no order. */
  matching(namespace: string, selector: Labels): PodObject[] {
    if (!this.#labelled.has(namespace)) {
      this.#labelled.add(namespace);
      for (const pod of this.#namespaces.get(namespace)?.values() ?? []) this.#label(pod);
    }
    let fewest: ReadonlySet<PodObject> | null = null;
    for (const [key, value] of Object.entries(selector)) {
      const pods = this.#byLabel.get(labelKey(namespace, key, value));
      if (pods === undefined) return [];
      if (fewest === null || pods.size < fewest.size) fewest = pods;
    }
    const found: PodObject[] = [];
    for (const pod of fewest ?? []) if (matches(selector, pod.meta.labels)) found.push(pod);
    return found;
  }

  #label(pod: PodObject): void {
    for (const bucket of buckets(pod)) addTo(this.#byLabel, bucket, pod);
  }

  #unlabel(pod: PodObject): void {
    for (const bucket of buckets(pod)) removeFrom(this.#byLabel, bucket, pod);
  }
}

function* buckets(pod: PodObject): Iterable<string> {
  const { namespace, labels } = pod.meta;
  for (const [key, value] of Object.entries(labels)) yield labelKey(namespace, key, value);
}
